-- funnel::dropped; scans track, clip and sample, less those of superseded scans. A copy is dropped where its samples are,
-- by unique (clip_id, t_ms).
select 'track' as "what!: String", reason as "reason!: String", count(*) as "rows!: i64"
from track where reason is not null and id not in superseded_track group by reason
union all
select 'clip', 'near-duplicate', count(*) from clip
where duplicate_of is not null and id not in superseded_clip
  and not exists (select 1 from sample where clip_id = clip.id and reason is null)
having count(*) > 0
union all
select 'sample', reason, count(*) from sample where reason is not null and clip_id not in superseded_clip group by reason
