-- jobs::withdraw; job_outcome. $2 is a JSON list of subjects; work in hand and verdicts stay.
delete from job where stage = $1 and state = 'open' and subject_id in (select value from json_each($2))
