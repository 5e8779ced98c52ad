-- forget::tombstoned; tombstone, then video by unique (site, site_id). Videos that must not be here.
select video.id from tombstone
join video on video.site = tombstone.site and video.site_id = tombstone.site_id
