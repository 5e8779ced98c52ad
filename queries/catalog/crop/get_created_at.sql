-- crops::Crops::jpeg; crop and sample by primary key.
select crop.jpeg as "jpeg!: Vec<u8>"
from crop join sample on sample.id = crop.sample_id
where crop.sample_id = $1 and sample.created_at = $2
