-- evidence::insert; unique (video_id, search_id, rank). What was seen first stays.
insert into evidence (video_id, search_id, answer_id, rank, emotion, seen_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (video_id, search_id, rank) do nothing
