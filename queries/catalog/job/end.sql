-- jobs::finish, reject and give_up; primary key. Touches nothing when the lease is lost.
update job set state = $5, reason = $6, detail = $7, due_at = null, worker = null, finished_at = $8
where id = $1 and worker = $2 and attempt = $3 and rev = $4 and state = 'held'
