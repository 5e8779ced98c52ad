-- listed::differing; unique (list, line), then video by primary key. The hash of a file on disk is its video's name.
select listed.line, video.url, video.site = 'local' as "is_local!: bool"
from listed join video on video.id = listed.video_id
where listed.list = $1
  and listed.sha256 <> case video.site when 'local' then video.site_id else video.sha256 end
order by listed.line
