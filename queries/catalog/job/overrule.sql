-- jobs::overrule; unique (stage, subject_id). A verdict of this reason that what is known now does not bear out.
update job set state = 'open', attempt = 0, priority = $4, due_at = $5, worker = null, reason = null, detail = null,
  finished_at = null
where stage = $1 and subject_id = $2 and state = 'rejected' and reason = $3
