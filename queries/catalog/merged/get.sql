-- merge::seen; unique (fingerprint).
select merged_at from merged where fingerprint = $1
