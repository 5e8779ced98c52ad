-- clips::motions; scans clip, and only when some of it is new.
select id, video_id, motion, duplicate_of, compared_at is null as "is_new!: bool" from clip order by id
