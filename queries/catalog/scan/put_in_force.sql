-- scans::put_in_force; primary key.
update scan set superseded_at = null where id = $1
