-- The journal of what `webemotion merge` took in: the same catalog in the same state is taken in once, and a person can
-- see which nodes a row may have come from.
create table merged (
  id integer primary key not null,
  source text not null,              -- the folder it was read from
  fingerprint text not null unique,  -- sha256 of all that it had to give
  videos integer not null,           -- finished videos in it
  taken integer not null,            -- of these, new here
  clips integer not null,
  merged_at integer not null
) strict;
