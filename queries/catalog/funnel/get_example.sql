-- funnel::failures; job_outcome, as far as the first job of this end that says something.
select detail as "detail!: String" from job where stage = $1 and state = $2 and reason = $3 and detail is not null limit 1
