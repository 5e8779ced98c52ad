-- runs::list; scans run.
select id, name, method, recipe_hash, seed, folder, state, classes, device, noise, summary, started_at, finished_at,
  adopted_at
from run order by id
