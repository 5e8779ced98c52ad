-- answers::count_in_part; scans answer_in_part, then answer_of_search. Searches of a lexicon in force whose last answer
-- broke off.
select count(*) from answer join search on search.id = answer.search_id
where answer.broke_off is not null and search.retired_at is null and search.lexicon = $1
  and not exists (
    select 1 from answer as later
    where later.search_id = answer.search_id and later.page = 0 and later.id > answer.id)
