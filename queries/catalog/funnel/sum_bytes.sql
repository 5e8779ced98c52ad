-- funnel::disk; scans video and clip. The face crops are in the catalog's own bytes.
select
  (select coalesce(sum(size_bytes), 0) from video where file_path is not null) as "videos!: i64",
  (select coalesce(sum(size_bytes), 0) from clip) as "clips!: i64",
  (select page_count from pragma_page_count) * (select page_size from pragma_page_size) as "catalog!: i64"
