-- videos::upsert; unique (site, site_id). What the site says now wins; the source stays once it has a split.
insert into video (site, site_id, url, title, channel_id, channel_name, source, promised_duration_ms, licence,
  metadata_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
on conflict (site, site_id) do update set
  url = excluded.url,
  title = coalesce(excluded.title, video.title),
  channel_id = coalesce(excluded.channel_id, video.channel_id),
  channel_name = coalesce(excluded.channel_name, video.channel_name),
  source = case
    when excluded.channel_id is null or exists (select 1 from split where split.source = video.source)
    then video.source else excluded.source end,
  promised_duration_ms = coalesce(excluded.promised_duration_ms, video.promised_duration_ms),
  licence = coalesce(excluded.licence, video.licence),
  missing_since = case when excluded.title is null then video.missing_since end,
  metadata_at = case when excluded.title is null then video.metadata_at else excluded.metadata_at end
returning id
