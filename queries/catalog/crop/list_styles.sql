-- crops::styles_but; walks crop_made, which has all that is asked for.
select sample_id, side_px, margin from crop where side_px <> $1 or margin <> $2
