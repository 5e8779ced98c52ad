-- evidence::stands_in; unique (video_id, search_id, rank).
select id from evidence where video_id = $1 and search_id = $2 and rank = $3
