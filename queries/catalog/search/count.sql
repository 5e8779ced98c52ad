-- searches::plan, twice: before and after; scans search.
select count(*) from search
