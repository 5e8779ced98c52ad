-- rounds::end; primary key. A round ends once.
update round set ended_at = $2, exit = $3, summary = $4 where id = $1 and ended_at is null
