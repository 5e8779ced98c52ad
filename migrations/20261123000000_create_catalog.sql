-- The first catalog. One SQLite file holds every row and every face crop: copy the file and you have the data set,
-- but for videos and clips, which are files in the data folder by relative path. Times are milliseconds since 1970,
-- handed in by the program's clock. Nothing that explains a label is ever overwritten: verdicts, evidence and relabels
-- are added, and what holds now is derived.

-- 'wemo' in ASCII: how `Catalog::open` tells a catalog from any other SQLite file.
pragma application_id = 2003135855;

-- A question to the site. A changed lexicon retires rows; it never deletes them.
create table search (
  id integer primary key not null,
  provider text not null,            -- 'youtube' or 'local'
  lexicon text not null,             -- name of the lexicon that asked for it
  emotion text not null,
  text text not null,                -- the words as sent; for 'local' the folder
  word text not null,                -- the emotion word in it
  country text,
  age_word text,
  language text,
  created_at integer not null,
  retired_at integer,
  unique (provider, emotion, text)
) strict;

-- One answer to a search: the ledger of what was asked when, of whom.
create table answer (
  id integer primary key not null,
  search_id integer not null references search (id),
  asked_of text not null,            -- 'ytdlp', 'data-api' or 'local'
  tool_version text not null,
  asked_at integer not null,
  page integer not null,
  hits integer not null,
  raw blob                           -- deflated; emptied after 30 days
) strict;
create index answer_of_search on answer (search_id);

create table video (
  id integer primary key not null,
  site text not null,                -- 'youtube' or 'local'
  site_id text not null,             -- the site's id; for 'local' the sha256 of the file
  url text not null,
  title text,                        -- expires with the metadata
  channel_id text,
  channel_name text,
  source text not null,              -- 'channel:<id>', else 'video:<site>:<id>': what splits go by
  emotion text,                      -- what video_emotion says, kept here since every count asks for it
  promised_duration_ms integer,
  licence text,
  metadata_at integer not null,
  created_at integer not null,
  -- the file, once fetched
  file_path text,                    -- relative to the data folder; null again when discarded
  size_bytes integer,
  sha256 text,
  container text,
  video_codec text,
  width integer,
  height integer,
  duration_ms integer,
  frame_rate real,
  fetched_at integer,
  discarded_at integer,
  unique (site, site_id)
) strict;
create index video_of_channel on video (channel_id);
create index video_of_source on video (source);
create index video_of_emotion on video (emotion, file_path);

-- Why a video is thought to show an emotion: all of them are kept, also when emotions disagree.
create table evidence (
  id integer primary key not null,
  video_id integer not null references video (id) on delete cascade,
  search_id integer not null references search (id),
  answer_id integer not null references answer (id),
  rank integer not null,             -- 1 is the first hit
  emotion text not null,
  seen_at integer not null,
  unique (video_id, search_id, rank)
) strict;
create index evidence_of_search on evidence (search_id);
create index evidence_of_video on evidence (video_id, emotion, rank);

-- The emotion of a video: the one with the best rank; then the one with the most evidence; then FERPlus order.
create view video_emotion as
select video_id, emotion
from (
  select video_id, emotion,
    row_number() over (
      partition by video_id
      order by min(rank), count(*) desc,
        instr('neutral happiness surprise sadness anger disgust fear contempt', emotion)
    ) as place
  from evidence
  group by video_id, emotion
)
where place = 1;

-- Channels (else videos) never move between splits as the catalog grows.
create table split (
  source text primary key not null,  -- 'channel:<id>' or 'video:<site>:<id>'
  split text not null check (split in ('train', 'validation', 'test')),
  created_at integer not null
) strict;

-- A recipe's text by its hash, for every row that was derived with it.
create table recipe (
  hash text primary key not null,
  kind text not null,
  body text not null,
  created_at integer not null
) strict;

-- One look at a video's frames.
create table scan (
  id integer primary key not null,
  video_id integer not null references video (id) on delete cascade,
  recipe_hash text not null references recipe (hash),
  width integer not null,
  height integer not null,
  duration_ms integer not null,
  shots text not null,               -- JSON [[start_ms, end_ms], …]
  frames_decoded integer not null,
  frames_detected integer not null,
  elapsed_ms integer not null,
  created_at integer not null,
  unique (video_id, recipe_hash)
) strict;

create table track (
  id integer primary key not null,
  scan_id integer not null references scan (id) on delete cascade,
  video_id integer not null references video (id) on delete cascade,
  shot integer not null,
  start_ms integer not null,
  end_ms integer not null,
  coverage real not null,
  median_face_px real not null,
  faces blob not null,               -- MessagePack, deflated: the list of (t_ms, face)
  reason text                        -- why it became no clip; null when it did
) strict;
create index track_of_video on track (video_id);
create index track_of_scan on track (scan_id);

create table clip (
  id integer primary key not null,
  track_id integer not null references track (id) on delete cascade,
  video_id integer not null references video (id) on delete cascade,
  start_ms integer not null,
  end_ms integer not null,
  file_path text not null,
  size_bytes integer not null,
  sha256 text not null,
  side_px integer not null,
  frames integer not null,
  framing text not null,
  perceptual_hash integer not null,
  duplicate_of integer references clip (id) on delete set null,
  recipe_hash text not null references recipe (hash),
  created_at integer not null,
  unique (track_id, start_ms)
) strict;
create index clip_of_video on clip (video_id);

create table sample (
  id integer primary key not null,
  clip_id integer not null references clip (id) on delete cascade,
  video_id integer not null references video (id) on delete cascade,
  t_ms integer not null,
  face text not null,                -- JSON: box, landmarks, detector_score, fractions of the source picture
  sharpness real not null,
  brightness real not null,
  contrast real not null,
  face_px real not null,
  yaw_deg real not null,
  pitch_deg real not null,
  roll_deg real not null,
  reason text,                       -- why it is not used; null when it is
  created_at integer not null,
  unique (clip_id, t_ms)
) strict;
create index sample_of_video on sample (video_id, reason);

-- Pictures apart, so that scans of `sample` stay small.
create table crop (
  sample_id integer primary key not null references sample (id) on delete cascade,
  side_px integer not null,
  jpeg blob not null
) strict;

-- Every piece of work of every stage, one row for each (stage, subject). An expired lease is simply due again.
create table job (
  id integer primary key not null,
  stage text not null,               -- 'search', 'fetch', 'scan' or 'cut'
  subject_id integer not null,       -- the search (search) or the video (the others)
  rev text not null,                 -- the stage's revision and recipe: asked for with a new one, the work is new
  state text not null check (state in ('open', 'held', 'done', 'rejected', 'dead')),
  attempt integer not null default 0,
  priority integer not null default 0,
  due_at integer,                    -- when anyone may next take it; null when finished
  worker text,
  reason text,
  detail text,
  created_at integer not null,
  finished_at integer,
  unique (stage, subject_id)
) strict;
create index job_due on job (stage, priority, due_at, id) where due_at is not null;
create index job_outcome on job (stage, state, reason, due_at);

-- What each attempt that did not succeed came to.
create table attempt (
  id integer primary key not null,
  job_id integer not null references job (id) on delete cascade,
  attempt integer not null,
  worker text not null,
  kind text not null,
  reason text not null,
  detail text not null,
  ended_at integer not null
) strict;
create index attempt_of_job on attempt (job_id);

-- A whole stage stands still until then; null means until a person says so.
create table pause (
  stage text primary key not null,
  reason text not null,
  detail text not null,
  since integer not null,
  resume_at integer
) strict;

-- The politeness budget of one egress identity, shared by all workers of this catalog.
create table budget (
  identity text primary key not null,
  tokens real not null,
  refilled_at integer not null
) strict;

-- The user accepted the site's terms.
create table acceptance (
  id integer primary key not null,
  terms text not null,
  version text not null,
  accepted_at integer not null
) strict;

-- What must never come back.
create table tombstone (
  site text not null,
  site_id text not null,
  reason text not null,
  created_at integer not null,
  primary key (site, site_id)
) strict;

-- A training run. Its sample list is frozen before the first batch.
create table run (
  id integer primary key not null,
  name text not null unique,
  method text not null,
  recipe_hash text not null references recipe (hash),
  seed integer not null,
  folder text not null,              -- relative to the data folder
  state text not null check (state in ('open', 'done', 'failed', 'stopped')),
  classes text not null,             -- JSON list of class names, in index order
  device text,
  summary text,                      -- JSON, once it is done
  started_at integer not null,
  finished_at integer,
  adopted_at integer                 -- its relabels are in force since; null when they are not
) strict;

create table run_sample (
  run_id integer not null references run (id) on delete cascade,
  position integer not null,         -- index in the run's list
  sample_id integer not null references sample (id) on delete cascade,
  split text not null,
  label integer not null,            -- class index it began with
  -- the run's opinion at its end
  importance real,
  predicted integer,
  p_predicted real,
  p_given real,
  primary key (run_id, position)
) strict;
create index run_sample_of_sample on run_sample (sample_id);

create table epoch (
  run_id integer not null references run (id) on delete cascade,
  epoch integer not null,
  metrics text not null,             -- JSON
  ended_at integer not null,
  primary key (run_id, epoch)
) strict;

create table relabel (
  id integer primary key not null,
  run_id integer not null references run (id) on delete cascade,
  epoch integer not null,
  sample_id integer not null references sample (id) on delete cascade,
  from_label integer not null,
  to_label integer not null,
  p_max real not null,
  p_given real not null,
  importance real not null,
  created_at integer not null,
  unique (run_id, epoch, sample_id)
) strict;
create index relabel_of_sample on relabel (sample_id);
