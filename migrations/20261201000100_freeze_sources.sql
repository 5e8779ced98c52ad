-- The number of a sample's source (a channel, else a video, joined with those that share footage with it): samples of one
-- source are never divided between the folds of a run, nor between training and held-out samples. Null in lists of
-- earlier releases, which went by videos.
alter table run_sample add column source integer;
