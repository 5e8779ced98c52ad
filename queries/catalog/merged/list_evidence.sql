-- merge::finished; scans evidence, search by primary key. The same order in every catalog.
select evidence.video_id as "video_id!: i64", search.provider as "provider!: String",
  evidence.emotion as "emotion!: String", search.text as "text!: String", evidence.rank as "rank!: i64"
from evidence join search on search.id = evidence.search_id
order by evidence.video_id, search.provider, evidence.emotion, search.text, evidence.rank
