-- A copy whose original is removed, or cut again, is compared once more: of several copies one becomes the original of
-- the others, and footage stays in one split. `duplicate_of` itself is emptied by its reference.
create trigger clip_original_goes before delete on clip
begin
  update clip set compared_at = null where duplicate_of = old.id;
end;
