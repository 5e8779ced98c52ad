-- clips::count_duplicates; clip_duplicate; superseded_track once.
select count(*) from clip where duplicate_of is not null and track_id not in superseded_track
