-- answers::set_asked_before; job_outcome, then answer_of_search. Answers that do not tell it, of searches that are done
-- with revision $1.
update answer set asking = $2, wanted = $3
where asking is null and page = 0 and search_id in (
  select subject_id from job where stage = 'search' and rev = $1 and state = 'done')
