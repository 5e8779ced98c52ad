-- recipes::insert; primary key.
insert into recipe (hash, kind, body, created_at) values ($1, $2, $3, $4) on conflict (hash) do nothing
