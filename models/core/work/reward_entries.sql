/*
title: What each approved datapoint is worth to its annotator
grain: [entry_id]
columns:
  entry_id: The submission it rewards; a submission is rewarded once.
  party: The annotator.
  submission_id: The approved submission.
  task_id: Its task.
  dataset_id: The dataset the datapoint went into; null where none is registered.
  chain_id: Chain on which the reward is owed.
  state: >-
    Where it stands: owed, points_only (the task rewards nothing else), or in suspense, where no earning is made of it
    until the platform mends the task: no_rate (no version, or none with an amount, was valid when the work was handed
    in, so what it is worth is unknown), no_chain (the rate has a token but no chain to owe it on).
  points: Base points plus the bonus, rounded down; points are never money. Null where no version was valid.
  token: Token the reward is owed in; null where only points are given or no rate is known.
  amount: Base units owed; null where only points are given or no rate is known.
  amount_raw: The same in 32 bytes.
  rate_version: The task's version that was valid when the work was handed in; null where none was.
  at: When the submission was approved, or last changed where the platform gives no time of decision.
  day: UTC day of it.
rules: [unique(entry_id), not_null(party, submission_id, day), nonnegative(amount?, points?), in_set(state, owed, points_only, no_rate, no_chain), warn(in_set(state, owed, points_only))]
*/
with approved as (
    select
        submission_id, task_id, annotator, submitted_at, coalesce(decided_at, updated_at) as at
    from core.submissions
    where status = 'approved'
),

rated as (
    select
        approved.submission_id, approved.task_id, approved.annotator, approved.at as at, tasks.chain_id, tasks.dataset_id,
        tasks.base_points, tasks.bonus_pct, tasks.reward_token, tasks.reward_amount, tasks.reward_amount_raw,
        tasks.version
    from approved
    left join core.tasks as tasks
        on tasks.task_id = approved.task_id
        and tasks.valid_from <= approved.submitted_at
        and (tasks.valid_to is null or approved.submitted_at < tasks.valid_to)
)

select
    submission_id as entry_id,
    annotator as party,
    submission_id,
    task_id,
    dataset_id,
    chain_id,
    case
        when version is null then 'no_rate'
        when reward_token is null then 'points_only'
        when reward_amount_raw is null then 'no_rate'
        when chain_id is null then 'no_chain'
        else 'owed'
    end as state,
    -- a percent of whole points; times 0.01 is exact, a division would not be the same on two engines
    cast(floor(cast(base_points * (100 + bonus_pct) as decimal(18,0)) * cast(0.01 as decimal(3,2))) as bigint) as points,
    case when reward_amount_raw is not null then reward_token end as token,
    case when reward_token is not null then reward_amount end as amount,
    case when reward_token is not null then reward_amount_raw end as amount_raw,
    version as rate_version,
    rated.at as at,
    cast(rated.at as date) as day
from rated
