/*
title: What annotators were asked to do, and at what rate
grain: [task_id, version]
columns:
  task_id: The platform's id of the task.
  version: Number of the version; a new rate is a new version.
  title: What the task is called.
  data_type: What is labelled (text, image, audio, …).
  language: Language of the data, where it has one.
  difficulty: How hard the platform says it is.
  chain_id: Chain of the dataset and of the reward.
  dataset_id: The dataset the approved datapoints go into; null where none is registered.
  label_count: Number of possible labels.
  reward_kind: Who rewards (enterprise, dual, community).
  base_points: Points per approved datapoint; points are never money.
  bonus_pct: Bonus in whole percent of the base.
  reward_token: Token paid per approved datapoint; null where only points are given.
  reward_amount: Base units of that token per approved datapoint.
  reward_amount_raw: The same in 32 bytes.
  review_quorum: Reviews a datapoint needs before it is decided.
  valid_from: From when the version counts for submissions.
  valid_to: From when the next version counts; null for the newest.
  updated_at: When the platform last changed this version.
rules: [unique(task_id, version), not_null(valid_from), nonnegative(reward_amount?), in_set(reward_kind?, enterprise, dual, community)]
*/
with newest as (
    select *
    from raw.platform_tasks
    qualify row_number() over (partition by task_id, version order by updated_at desc nulls last) = 1
)

select
    task_id, version, title, data_type, language, difficulty, chain_id, dataset_id, label_count, reward_kind,
    base_points, bonus_pct, reward_token, reward_amount, reward_amount_raw, review_quorum, valid_from,
    lead(valid_from) over (partition by task_id order by valid_from nulls last, version nulls last) as valid_to,
    updated_at
from newest
