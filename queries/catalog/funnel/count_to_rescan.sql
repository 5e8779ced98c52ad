-- funnel::to_rescan; job_outcome, then unique (stage, subject_id) for each scan still to come.
select count(*) from job as look join job as cut on cut.stage = 'cut' and cut.subject_id = look.subject_id
where look.stage = 'scan' and look.state in ('open', 'held') and cut.state = 'done'
