-- runs::samples; primary key.
select position, sample_id, split, label, importance, predicted, p_predicted, p_given
from run_sample where run_id = $1 order by position
