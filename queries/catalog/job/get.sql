-- jobs::get; unique (stage, subject_id).
select id, state, attempt, due_at, worker, reason, detail from job where stage = $1 and subject_id = $2
