-- relabels::in_force; walks relabel_of_sample. The run adopted last wins, and of
-- one run its last word on a sample.
select sample_id as "sample_id!: i64", run_id as "run_id!: i64", epoch as "epoch!: i64", class as "class!: String"
from (
  select relabel.sample_id, relabel.run_id, relabel.epoch,
    run.classes ->> ('$[' || relabel.to_label || ']') as class,
    row_number() over (
      partition by relabel.sample_id order by run.adopted_at desc, run.id desc, relabel.epoch desc
    ) as place
  from relabel join run on run.id = relabel.run_id
  where run.adopted_at is not null
)
where place = 1 order by sample_id
