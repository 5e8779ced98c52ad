-- jobs::count_due; job_due.
select count(*) from job where stage = $1 and due_at is not null and due_at <= $2
