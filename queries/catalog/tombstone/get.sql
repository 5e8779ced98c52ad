-- tombstones::stands; primary key.
select reason from tombstone where site = $1 and site_id = $2
