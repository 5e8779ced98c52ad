-- jobs::keep_answered; unique (stage, subject_id), then answer_of_search. $4 is a JSON list of searches. What was answered
-- whole when asked as in $2, with $3 videos or more wanted, is done with revision $1, whatever was asked for since.
update job set rev = $1, state = 'done', due_at = null, worker = null, reason = null, detail = null,
  finished_at = coalesce(finished_at, (
    select max(asked_at) from answer
    where search_id = job.subject_id and asking = $2 and wanted >= $3 and broke_off is null))
where stage = 'search' and subject_id in (select value from json_each($4)) and rev <> $1
  and exists (
    select 1 from answer
    where search_id = job.subject_id and asking = $2 and wanted >= $3 and broke_off is null)
