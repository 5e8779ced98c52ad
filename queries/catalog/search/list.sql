-- searches::list; scans the searches of one provider that are in force.
select id, provider, lexicon, emotion, text, word, country, age_word, language, retired_at
from search where provider = $1 and retired_at is null order by id
