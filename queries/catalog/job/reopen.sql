-- jobs::reopen; unique (stage, subject_id). $2 is a JSON list of subjects whose work has to be done once more.
update job set state = 'open', attempt = 0, due_at = $3, worker = null, reason = null, detail = null, finished_at = null
where stage = $1 and subject_id in (select value from json_each($2)) and state not in ('open', 'held')
