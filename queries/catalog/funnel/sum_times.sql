-- funnel::times; scans job, sorted by stage. From one job's end to the next one's of its stage; a gap that is longer than
-- $1 says that nobody was at work.
select stage, sum(state = 'done') as "done!: i64", count(gap_ms) as "gaps!: i64", coalesce(sum(gap_ms), 0) as "worked_ms!: i64"
from (
  select stage, state, case when finished_at - before <= $1 then finished_at - before end as gap_ms
  from (
    select stage, state, finished_at, lag(finished_at) over (partition by stage order by finished_at) as before
    from job where finished_at is not null
  )
)
group by stage
order by stage
