-- jobs::set_waiting; primary key. Touches nothing when the lease is lost.
update job set waits = $5 where id = $1 and worker = $2 and attempt = $3 and rev = $4 and state = 'held'
