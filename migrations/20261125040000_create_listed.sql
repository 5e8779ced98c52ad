-- What a released list names: rebuilding takes exactly these videos, and the spans and boxes say where the faces were
-- found when the list was made. One row of the list is one row here.
create table listed (
  id integer primary key not null,
  list text not null,                -- the list's file name with the beginning of its sha256
  line integer not null,             -- in the list, from 1
  video_id integer not null references video (id) on delete cascade,
  emotion text not null,
  start_ms integer,                  -- presentation time, half open; null means the whole video
  end_ms integer,
  face text,                         -- JSON: x, y, width, height, fractions of the displayed picture
  sha256 text,                       -- of the file that the list was made from
  unique (list, line)
) strict;
create index listed_of_video on listed (video_id, list);
