-- runs::set_opinions; primary key. $2 is a JSON list of [position, importance, predicted, p_predicted, p_given].
update run_sample set importance = opinion.value ->> 1, predicted = opinion.value ->> 2,
  p_predicted = opinion.value ->> 3, p_given = opinion.value ->> 4
from json_each($2) as opinion
where run_sample.run_id = $1 and run_sample.position = opinion.value ->> 0
