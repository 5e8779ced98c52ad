-- tombstones::insert; primary key.
insert into tombstone (site, site_id, reason, created_at) values ($1, $2, $3, $4)
on conflict (site, site_id) do nothing
