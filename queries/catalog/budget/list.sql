-- budgets::list; scans budget.
select identity, tokens, refilled_at from budget order by identity
