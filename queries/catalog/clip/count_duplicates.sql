-- clips::count_duplicates; clip_duplicate alone.
select count(*) from clip where duplicate_of is not null
