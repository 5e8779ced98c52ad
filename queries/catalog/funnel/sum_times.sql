-- funnel::times; scans scan, then job, sorted by stage. Of a scan the time that it took, on whatever machine. Of the other
-- stages the time from one job's end to the next one's; a gap that is longer than $1 says that nobody was at work. Jobs
-- that nobody took here, since they came with a merge or were rejected at once, are left out.
select 'scan' as "stage!: String", count(*) as "done!: i64", count(*) as "gaps!: i64",
  coalesce(sum(elapsed_ms), 0) as "worked_ms!: i64"
from scan having count(*) > 0
union all
select stage, sum(state = 'done'), count(gap_ms), coalesce(sum(gap_ms), 0)
from (
  select stage, state, case when finished_at - before <= $1 then finished_at - before end as gap_ms
  from (
    select stage, state, finished_at, lag(finished_at) over (partition by stage order by finished_at) as before
    from job where finished_at > created_at and attempt > 0 and stage <> 'scan'
  )
)
group by stage
order by 1
