-- clips::nearest; scans clip. A person who sits still looks like herself: other videos only.
select id, perceptual_hash from clip where video_id <> $1 and duplicate_of is null order by id
