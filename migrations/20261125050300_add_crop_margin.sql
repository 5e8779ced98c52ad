-- Crops can be made again, of another size or with more of the head: each says how it was made. The index is what finds
-- those that were made otherwise, without a walk over the pictures.
alter table crop add column margin real not null default 1.0;
create index crop_made on crop (side_px, margin);
