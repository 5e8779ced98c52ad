-- funnel::stages; job_outcome alone.
select stage, state, reason, count(*) as jobs from job group by stage, state, reason order by stage, state, reason
