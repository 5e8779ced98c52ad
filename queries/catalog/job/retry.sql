-- jobs::retry; scans job. Verdicts and lost causes of one reason, of one stage or of all.
update job set state = 'open', attempt = 0, due_at = $3, worker = null, reason = null, detail = null, finished_at = null
where state in ('rejected', 'dead') and reason = $1 and ($2 is null or stage = $2)
