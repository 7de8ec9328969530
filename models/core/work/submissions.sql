/*
title: Every attempt at a datapoint, as it stands now
grain: [submission_id]
columns:
  submission_id: The platform's id of the attempt.
  task_id: The task it was made for.
  item_id: The item that was labelled.
  annotator: The party that labelled it.
  annotator_id: The same, under the platform's own column name.
  label: The label given; null where the answer is a number or was rejected as unreadable.
  value_f64: The number given, where the task asks for one; an opinion, not money.
  seconds: How long it took.
  content_hash: Digest of the submitted content.
  language: Language of the content, where it has one.
  submitted_at: When it was handed in.
  status: Where it stands (submitted, approved, rejected, rework).
  decided_at: When that was decided; null while it is open.
  updated_at: When the platform last changed it.
  day: UTC day it was handed in.
rules: [unique(submission_id), not_null(task_id, item_id, annotator, status), in_set(status, submitted, approved, rejected, rework)]
*/
with newest as (
    select *
    from raw.platform_submissions
    qualify row_number() over (partition by submission_id order by updated_at desc nulls last) = 1
)

select
    submission_id, task_id, item_id, annotator_id as annotator, annotator_id, label, value_f64, seconds, content_hash,
    language, submitted_at, status, decided_at, updated_at, cast(submitted_at as date) as day
from newest
