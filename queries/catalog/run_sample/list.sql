-- runs::samples; primary keys. Positions have gaps where samples were removed. A source keeps its split: of a run that
-- held samples out it is another one than the frozen one.
select run_sample.position, run_sample.sample_id, run_sample.split, run_sample.label, run_sample.clean_label,
  run_sample.source,
  run_sample.importance, run_sample.predicted, run_sample.p_predicted, run_sample.p_given, sample.clip_id, sample.video_id,
  coalesce(split.split, run_sample.split) as "source_split!: String"
from run_sample join sample on sample.id = run_sample.sample_id
join video on video.id = sample.video_id left join split on split.source = video.source
where run_sample.run_id = $1 order by run_sample.position
