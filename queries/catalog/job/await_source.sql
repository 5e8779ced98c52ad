-- jobs::await_source; unique (stage, subject_id). $2 is a JSON list of videos without a file whose work has to be done
-- once more: jobs::source_is_back opens it.
update job set state = 'rejected', attempt = 0, due_at = null, worker = null, reason = 'source-gone', detail = $3,
  finished_at = $4
where stage = $1 and subject_id in (select value from json_each($2)) and state not in ('open', 'held')
