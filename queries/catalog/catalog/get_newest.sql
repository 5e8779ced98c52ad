-- Catalog::newest_ms; scans job and answer: when anything last happened, milliseconds since 1970.
select max(
  coalesce((select max(coalesce(finished_at, created_at)) from job), 0),
  coalesce((select max(asked_at) from answer), 0)
) as "newest!: i64"
