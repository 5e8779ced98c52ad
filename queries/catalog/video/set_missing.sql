-- videos::set_missing; primary key. The first miss counts.
update video set missing_since = coalesce(missing_since, $2), metadata_at = $2, title = null, channel_name = null
where id = $1
