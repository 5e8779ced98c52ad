-- searches::plan; unique (provider, emotion, text) finds rows that are there: they become what the list says of them. $1
-- is a JSON list of searches.
insert into search (provider, lexicon, emotion, text, word, country, age_word, language, created_at)
select $2, $3, value ->> 'emotion', value ->> 'text', value ->> 'word', value ->> 'country',
  value ->> 'age_word', value ->> 'language', $4
from json_each($1)
where true
on conflict (provider, emotion, text) do update set lexicon = excluded.lexicon, word = excluded.word,
  country = excluded.country, age_word = excluded.age_word, language = excluded.language, retired_at = null
where search.retired_at is not null
  or (search.lexicon, search.word, search.country, search.age_word, search.language)
    is distinct from (excluded.lexicon, excluded.word, excluded.country, excluded.age_word, excluded.language)
