-- videos::count_expired_metadata; scans video. What video/expire.sql would empty.
select count(*) from video
where site = 'youtube' and metadata_at < $1 and (title is not null or channel_name is not null)
