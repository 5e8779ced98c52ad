-- Catalog::complaints; reads every page once. 'ok' when nothing is wrong.
select quick_check || '' as "complaint!: String" from pragma_quick_check limit 5
