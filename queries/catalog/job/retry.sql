-- jobs::retry; scans job. Verdicts and lost causes of one reason, of one stage or of all. A scan or cut that waits for
-- its video's file opens when that comes, see source_is_back.sql.
update job set state = 'open', attempt = 0, due_at = $3, worker = null, reason = null, detail = null, finished_at = null
where state in ('rejected', 'dead') and reason = $1 and ($2 is null or stage = $2)
  and ($1 <> 'source-gone' or stage not in ('scan', 'cut')
    or exists (select 1 from video where video.id = job.subject_id and file_path is not null))
