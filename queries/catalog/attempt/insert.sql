-- attempts::insert.
insert into attempt (job_id, attempt, worker, kind, reason, detail, ended_at) values ($1, $2, $3, $4, $5, $6, $7)
