-- How often the process that held a job died with it. A crash in a codec kills a worker process, whose end its parent
-- reports; who kills the parent is mostly the machine, and the job is not to blame, unless it happens again and again.
alter table job add column orphaned integer not null default 0;
