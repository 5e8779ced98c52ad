-- searches::plan; scans the searches of one lexicon. $1 is the same JSON list: what it no longer holds is retired.
update search set retired_at = $4
where provider = $2 and lexicon = $3 and retired_at is null
  and (emotion, text) not in (select value ->> 'emotion', value ->> 'text' from json_each($1))
returning id
