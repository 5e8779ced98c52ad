-- funnel::answered; scans search, then answer by answer_of_search and job by unique (stage, subject_id).
select count(*) from search
where retired_at is null
  and exists (select 1 from answer where search_id = search.id)
  and not exists (select 1 from job where stage = 'search' and subject_id = search.id and state <> 'done')
