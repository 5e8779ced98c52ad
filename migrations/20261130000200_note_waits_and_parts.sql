-- Whoever holds a job may still wait for its turn at the site: nothing was tried then, and if it dies no attempt counts.
alter table job add column waits integer not null default 0;
-- What the site said when it broke off after some pages of an answer; null when the answer is whole.
alter table answer add column broke_off text;
create index answer_in_part on answer (search_id) where broke_off is not null;
-- What was asked beside the search's words, and how many videos were wanted, of the page that stands for an answer: nobody
-- asks the same again. Null where nobody tells.
alter table answer add column asking text;
alter table answer add column wanted integer;
-- The files on disk that videos were taken in from. While size and time stand, so does the hash that names the video.
create table local_file (
  path text primary key not null,
  size_bytes integer not null,
  modified_ms integer not null,
  video_id integer not null references video (id) on delete cascade
) strict;
create index local_file_of_video on local_file (video_id);
