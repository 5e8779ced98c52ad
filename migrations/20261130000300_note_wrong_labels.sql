-- What made labels of a run wrong on purpose, as JSON: {"share": 0.4, "kind": "symmetric"} or {"list": "noise.txt"}; null
-- where labels are as they came. What such a run says of labels is not of those that the catalog has. The closing line of
-- a run of an earlier release tells that some were wrong, not how: {}.
alter table run add column noise text;
update run set noise = '{}'
where case when json_valid(summary) then summary ->> '$.labels.left' end is not null;
-- The label of before it was made wrong, a class index; null where it was not. `label` stays what training began with.
alter table run_sample add column clean_label integer;
