-- answers::redact; primary key, in batches of $2. The raw pages that are still there.
select id, raw as "raw!: Vec<u8>" from answer where raw is not null and id > $1 order by id limit $2
