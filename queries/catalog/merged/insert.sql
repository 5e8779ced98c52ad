-- merge::record; unique (fingerprint).
insert into merged (source, fingerprint, videos, taken, clips, merged_at) values ($1, $2, $3, $4, $5, $6)
on conflict (fingerprint) do nothing
