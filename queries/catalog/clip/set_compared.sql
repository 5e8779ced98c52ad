-- clips::set_compared; primary key.
update clip set duplicate_of = $2, compared_at = $3 where id = $1
