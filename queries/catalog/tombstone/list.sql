-- tombstones::list; scans tombstone.
select site, site_id, reason from tombstone order by site, site_id
