-- answers::insert.
insert into answer (search_id, asked_of, tool_version, asked_at, page, hits, raw)
values ($1, $2, $3, $4, $5, $6, $7)
returning id
