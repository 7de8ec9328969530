/*
title: What reviewers said about submissions
grain: [review_id]
columns:
  review_id: The platform's id of the review.
  submission_id: The submission it judges.
  reviewer: The party that judged it.
  reviewer_id: The same, under the platform's own column name.
  round: Round of the review.
  decision: What was decided (approve, disapprove).
  reason: Why, where it was disapproved.
  reviewed_at: When it was decided.
  updated_at: When the platform last changed it.
  day: UTC day of the review.
rules: [unique(review_id), not_null(submission_id, reviewer, decision), in_set(decision, approve, disapprove)]
*/
with newest as (
    select *
    from raw.platform_reviews
    qualify row_number() over (partition by review_id order by updated_at desc nulls last) = 1
)

select
    review_id, submission_id, reviewer_id as reviewer, reviewer_id, round, decision, reason, reviewed_at, updated_at,
    cast(reviewed_at as date) as day
from newest
