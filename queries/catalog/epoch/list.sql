-- runs::epochs; primary key.
select epoch, metrics from epoch where run_id = $1 order by epoch
