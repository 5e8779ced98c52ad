-- videos::stale; scans video, once a refresh. Who was missing is asked about again sooner.
select id, site_id from video
where site = 'youtube' and (metadata_at < $1 or (missing_since is not null and metadata_at < $2))
order by metadata_at, id
