-- clips::motions; clip_uncompared alone.
select count(*) from clip where compared_at is null
