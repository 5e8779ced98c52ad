-- funnel::failures; job_outcome, then the jobs of each group for the text of one of them.
select stage as "stage!", state as "state!", reason as "reason!: String", count(*) as "jobs!: i64", max(detail) as "example?: String"
from job where state in ('open', 'rejected', 'dead') and reason is not null
group by stage, state, reason order by count(*) desc, stage, reason
