-- forget::videos; primary key. Evidence, scans, tracks, clips, samples and crops go with it.
delete from video where id = $1 returning site, site_id, url, source
