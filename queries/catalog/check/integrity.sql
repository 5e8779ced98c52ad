-- check::integrity; SQLite reads the whole file. The only row is 'ok' when nothing is wrong.
select integrity_check || '' as "problem!: String" from pragma_integrity_check
