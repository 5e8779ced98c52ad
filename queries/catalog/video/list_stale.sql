-- videos::stale; scans video, once for each batch of a refresh. What a refresh asked about is no longer stale; who was
-- missing is asked about again sooner.
select id, site_id from video
where site = 'youtube' and (metadata_at < $1 or (missing_since is not null and metadata_at < $2))
order by metadata_at, id limit $3
