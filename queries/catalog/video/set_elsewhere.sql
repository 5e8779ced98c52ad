-- videos::set_elsewhere; primary key. Its file was fetched into another data folder and is not in this one.
update video set fetched_at = coalesce(fetched_at, $2), discarded_at = coalesce(discarded_at, $3)
where id = $1 and file_path is null
