-- jobs::postpone; primary key. Touches nothing when the lease is lost.
update job set state = 'open', worker = null, reason = $5, detail = $6, due_at = $7
where id = $1 and worker = $2 and attempt = $3 and rev = $4 and state = 'held'
