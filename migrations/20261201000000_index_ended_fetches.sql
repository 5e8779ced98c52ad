-- The number of an emotion's videos that are still wanted is asked for whenever a search is stored: of each of its videos,
-- whether its download was rejected or given up. With 100,000 videos the index of all jobs took 17 ms for that.
create index job_ended_fetch on job (subject_id) where stage = 'fetch' and state in ('rejected', 'dead');
