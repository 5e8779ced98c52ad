-- forget::videos; unique (stage, subject_id). Every stage but search has videos as subjects.
delete from job where stage in ('fetch', 'scan', 'cut') and subject_id = $1
