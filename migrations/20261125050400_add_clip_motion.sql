-- How a clip's face moves tells footage that was uploaded twice, see face/footage. Of clips of before it is
-- filled in from their tracks when clips are compared next.
alter table clip add column motion blob;
-- When it was compared with the clips of other videos; null for those that are new.
alter table clip add column compared_at integer;
create index clip_uncompared on clip (id) where compared_at is null;
create index clip_duplicate on clip (duplicate_of) where duplicate_of is not null;
