-- jobs::source_is_back; unique (stage, subject_id). The video's file was fetched again: what ended for want of it is due.
-- A cut follows its scan: while that is still to come, so is the cut.
update job set state = 'open', attempt = 0, due_at = $2, worker = null, reason = null, detail = null, finished_at = null
where stage in ('scan', 'cut') and subject_id = $1 and state in ('rejected', 'dead') and reason = 'source-gone'
  and (stage = 'scan'
    or exists (select 1 from job as look where look.stage = 'scan' and look.subject_id = $1 and look.state = 'done'))
