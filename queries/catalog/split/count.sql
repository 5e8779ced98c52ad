-- splits::assign; scans split.
select count(*) from split
