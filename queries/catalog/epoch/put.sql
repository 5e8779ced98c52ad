-- runs::put_epoch; primary key. A resumed run says an epoch again.
insert into epoch (run_id, epoch, metrics, ended_at) values ($1, $2, $3, $4)
on conflict (run_id, epoch) do update set metrics = excluded.metrics, ended_at = excluded.ended_at
