-- videos::discard_file; primary key.
update video set file_path = null, discarded_at = $2 where id = $1 and file_path is not null
