-- Catalog::open, before anything else; the file's header.
select application_id + 0 as "application_id!: i64" from pragma_application_id
