-- clips::set_compared; primary key, twice. Both clips must be those that were compared: ids of removed clips are used again.
update clip set duplicate_of = $2, compared_at = $3
where id = $1 and compared_at is null and coalesce(motion, x'') = coalesce($4, x'')
  and ($2 is null or exists (
    select 1 from clip as original where original.id = $2 and coalesce(original.motion, x'') = coalesce($5, x'')))
