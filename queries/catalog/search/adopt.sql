-- searches::adopt; unique (provider, emotion, text). A search of another catalog; one that is here stays as it is.
insert into search (provider, lexicon, emotion, text, word, country, age_word, language, created_at, retired_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (provider, emotion, text) do update set lexicon = search.lexicon
returning id
