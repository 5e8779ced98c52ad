-- acceptances::latest; scans acceptance, a handful of rows.
select version from acceptance where terms = $1 order by id desc limit 1
