-- jobs::give_back; primary key. The attempt does not count. Touches nothing when the lease is lost.
update job set state = 'open', worker = null, attempt = attempt - 1, due_at = $5
where id = $1 and worker = $2 and attempt = $3 and rev = $4 and state = 'held'
