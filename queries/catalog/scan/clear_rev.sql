-- scans::clear_rev; primary key.
update scan set rev = null where id = $1
