-- forget::of_channel; video_of_channel.
select id from video where channel_id = $1 order by id
