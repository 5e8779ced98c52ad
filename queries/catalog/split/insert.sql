-- splits::assign; primary key. A split never changes.
insert into split (source, split, created_at) values ($1, $2, $3) on conflict (source) do nothing
