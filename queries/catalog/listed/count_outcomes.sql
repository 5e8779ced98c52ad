-- listed::outcomes; unique (list, line), then job by unique (stage, subject_id).
select job.state as "state!: String", job.reason, count(*) as "videos!: i64"
from (select distinct video_id from listed where list = $1) as wanted
join job on job.stage = 'fetch' and job.subject_id = wanted.video_id
group by job.state, job.reason order by count(*) desc, job.state, job.reason
