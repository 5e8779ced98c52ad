-- forget::videos; evidence_of_video, then answer_of_search. All pages of the askings that found what is to be forgotten:
-- evidence points to the first, and the others name it too. Of the words on which the site broke off it stays known
-- that there were some.
update answer set raw = null, broke_off = iif(broke_off is null, null, '') where id in (
  select page.id from evidence
  join answer as found on found.id = evidence.answer_id
  join answer as page on page.search_id = found.search_id and page.asked_at = found.asked_at
  where evidence.video_id = $1
)
