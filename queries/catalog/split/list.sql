-- splits::list; scans split.
select source, split from split order by source
