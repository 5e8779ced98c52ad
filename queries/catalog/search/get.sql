-- searches::get; primary key.
select id, provider, lexicon, emotion, text, word, country, age_word, language, retired_at
from search where id = $1
