-- videos::missing; scans video, once a refresh. Twice missing, so far apart, is certain.
select id, metadata_at - missing_since >= $1 as "is_certain!: bool" from video
where missing_since is not null order by id
