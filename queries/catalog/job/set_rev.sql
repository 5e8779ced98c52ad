-- jobs::set_rev; walks a stage by unique (stage, subject_id).
update job set rev = $3 where stage = $1 and rev = $2
