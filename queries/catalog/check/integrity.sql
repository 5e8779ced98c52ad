-- check::integrity; SQLite reads the whole file. 'ok' stands alone when nothing is wrong.
select integrity_check || '' as "problem!: String" from pragma_integrity_check
