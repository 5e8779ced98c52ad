-- evidence::of_video; evidence_of_video.
select evidence.search_id, evidence.answer_id, evidence.rank, evidence.emotion, evidence.seen_at,
  search.text as search_text
from evidence join search on search.id = evidence.search_id
where evidence.video_id = $1 order by evidence.rank, evidence.id
