-- relabels::count_changed; unique (run_id, epoch, sample_id), run_sample_of_sample. Counts samples whose last word
-- differs from the label that they began with.
select count(*)
from (
  select sample_id, to_label, row_number() over (partition by sample_id order by epoch desc) as place
  from relabel where run_id = $1
) as word
join run_sample on run_sample.run_id = $1 and run_sample.sample_id = word.sample_id
where word.place = 1 and word.to_label <> run_sample.label
