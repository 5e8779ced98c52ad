-- budgets::take; primary key.
insert into budget (identity, tokens, refilled_at) values ($1, $2, $3)
on conflict (identity) do update set tokens = excluded.tokens, refilled_at = excluded.refilled_at
