-- runs::samples; primary keys. Positions have gaps where samples were removed.
select run_sample.position, run_sample.sample_id, run_sample.split, run_sample.label, run_sample.clean_label,
  run_sample.importance, run_sample.predicted, run_sample.p_predicted, run_sample.p_given, sample.clip_id, sample.video_id
from run_sample join sample on sample.id = run_sample.sample_id
where run_sample.run_id = $1 order by run_sample.position
