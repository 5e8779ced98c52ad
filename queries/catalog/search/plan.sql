-- searches::plan; unique (provider, emotion, text) finds rows that are there. $1 is a JSON list of searches.
insert into search (provider, lexicon, emotion, text, word, country, age_word, language, created_at)
select $2, $3, value ->> 'emotion', value ->> 'text', value ->> 'word', value ->> 'country',
  value ->> 'age_word', value ->> 'language', $4
from json_each($1)
where true
on conflict (provider, emotion, text) do update set lexicon = excluded.lexicon, retired_at = null
where search.retired_at is not null or search.lexicon <> excluded.lexicon
