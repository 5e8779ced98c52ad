-- budgets::take; primary key.
select tokens, refilled_at from budget where identity = $1
