-- local_files::put; primary key.
insert into local_file (path, size_bytes, modified_ms, video_id) values ($1, $2, $3, $4)
on conflict (path) do update set size_bytes = excluded.size_bytes, modified_ms = excluded.modified_ms,
  video_id = excluded.video_id
where (local_file.size_bytes, local_file.modified_ms, local_file.video_id)
  is distinct from (excluded.size_bytes, excluded.modified_ms, excluded.video_id)
