-- What `webemotion run` did, night for night: the morning report compares a round with the one before it, and `status`
-- lists the last ones. A round without an end was killed, unless its holder is still at work.
create table round (
  id integer primary key not null,
  holder text not null,              -- the process, named as in job.worker
  started_at integer not null,
  ended_at integer,
  exit integer,                      -- the exit code; null while it goes on, and for ever when it was killed
  summary text                       -- JSON, the same that --notify gets
) strict;
-- What ended since a moment is asked after every round.
create index job_finished on job (finished_at) where finished_at is not null;
create index attempt_ended on attempt (ended_at);
