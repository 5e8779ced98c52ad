-- videos::expire_metadata; scans video, once a run. What the site may ask to be forgotten after a while; the channel's id
-- stays, since splits go by it.
update video set title = null, channel_name = null
where site = 'youtube' and metadata_at < $1 and (title is not null or channel_name is not null)
