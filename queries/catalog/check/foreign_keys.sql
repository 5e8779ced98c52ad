-- check::integrity; SQLite looks every reference up.
select "table" || ' row ' || coalesce(rowid, '?') || ' names a row of ' || parent || ' that is not there' as "problem!: String"
from pragma_foreign_key_check
