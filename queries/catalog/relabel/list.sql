-- relabels::of_run; unique (run_id, epoch, sample_id), run_sample_of_sample.
select run_sample.position, relabel.epoch, relabel.from_label, relabel.to_label, relabel.p_max, relabel.p_given,
  relabel.importance
from relabel join run_sample on run_sample.run_id = relabel.run_id and run_sample.sample_id = relabel.sample_id
where relabel.run_id = $1 order by relabel.epoch, run_sample.position
