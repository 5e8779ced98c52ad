-- Catalog::newest_ms; scans job, answer, run and round: when anything last happened, milliseconds since 1970.
select max(
  coalesce((select max(coalesce(finished_at, created_at)) from job), 0),
  coalesce((select max(asked_at) from answer), 0),
  coalesce((select max(finished_at) from run), 0),
  coalesce((select max(ended_at) from round), 0)
) as "newest!: i64"
