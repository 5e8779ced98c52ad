-- samples::for_training; scans sample; the rest by primary key. Only what the video's latest scan led to. A copy of
-- footage is where the original is. A clip's own emotion goes before its video's.
select sample.id, sample.clip_id, sample.video_id, video.source,
  coalesce(clip.emotion, video.emotion) as "emotion!: String", split.split
from sample
join clip on clip.id = sample.clip_id
join track on track.id = clip.track_id
join scan on scan.id = track.scan_id and scan.superseded_at is null
join video on video.id = sample.video_id
left join clip as first on first.id = clip.duplicate_of
left join video as first_video on first_video.id = first.video_id
join split on split.source = coalesce(first_video.source, video.source)
where sample.reason is null and coalesce(clip.emotion, video.emotion) is not null
  and not exists (select 1 from tombstone where tombstone.site = video.site and tombstone.site_id = video.site_id)
order by video.site, video.site_id, sample.t_ms, sample.id
