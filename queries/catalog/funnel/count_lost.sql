-- funnel::lost; job_outcome, then search or video by primary key for each job that is lost.
select search.emotion as "emotion!: String", job.stage as "stage!: String", job.reason as "reason!: String", count(*) as "jobs!: i64"
from job join search on search.id = job.subject_id
where job.stage = 'search' and job.state in ('rejected', 'dead') and job.reason is not null
group by search.emotion, job.reason
union all
select video.emotion, job.stage, job.reason, count(*)
from job join video on video.id = job.subject_id
where job.stage in ('fetch', 'scan', 'cut') and job.state in ('rejected', 'dead') and job.reason is not null
  and video.emotion is not null
group by video.emotion, job.stage, job.reason
