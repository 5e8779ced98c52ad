-- runs::create; unique name.
insert into run (name, method, recipe_hash, seed, folder, state, classes, device, noise, started_at)
values ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9)
returning id
