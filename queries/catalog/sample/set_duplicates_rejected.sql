-- samples::set_duplicates_rejected; scans sample. Rejects samples of copies when $1, takes that back otherwise.
update sample set reason = case when reason is null then 'near-duplicate' end
where (reason is null and $1 and clip_id in (select id from clip where duplicate_of is not null))
  or (reason = 'near-duplicate' and not ($1 and clip_id in (select id from clip where duplicate_of is not null)))
