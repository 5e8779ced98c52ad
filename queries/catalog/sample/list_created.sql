-- samples::created_at; scans sample.
select id, created_at from sample
