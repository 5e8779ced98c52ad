-- forget::videos; primary key. The split of a source that has no video left.
delete from split where source = $1 and not exists (select 1 from video where video.source = $1)
