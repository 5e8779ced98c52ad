-- A video whose file was discarded after its clips were cut counts as downloaded all the same.
create index video_fetched on video (emotion, fetched_at);
