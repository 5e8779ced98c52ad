-- funnel::emotions; scans search.
select emotion, count(*) as searches from search where retired_at is null group by emotion
