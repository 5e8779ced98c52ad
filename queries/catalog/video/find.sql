-- videos::find; unique (site, site_id).
select id from video where site = $1 and site_id = $2
