-- forget::redact; job_outcome.
select id, detail as "detail!" from job where stage = 'search' and detail is not null
