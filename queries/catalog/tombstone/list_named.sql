-- tombstones::standing; primary key. $2 is a JSON list of the site's ids.
select site_id from tombstone where site = $1 and site_id in (select value from json_each($2))
