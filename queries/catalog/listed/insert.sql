-- listed::insert; unique (list, line). Reading a list twice changes nothing.
insert into listed (list, line, video_id, emotion, start_ms, end_ms, face, sha256)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (list, line) do nothing
