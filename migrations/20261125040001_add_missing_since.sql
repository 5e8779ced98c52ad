-- Since when the site no longer names a video that was asked for by id: removed, private, or its owner is gone. A video
-- that is named again is there again; one that is missing for long may have to be removed here too.
alter table video add column missing_since integer;
