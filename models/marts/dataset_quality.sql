/*
title: Whether to believe a dataset, task by task
grain: [task_id]
columns:
  task_id: The task whose labels these are.
  title: What the task is called.
  data_type: What is labelled (text, image, audio, …).
  language: Language of the data, where it has one.
  chain_id: Chain of the dataset; null where none is registered.
  dataset_id: The dataset the task feeds; null where none is registered.
  dataset: Name of the dataset; the title of the task where none is registered.
  day: UTC day of the last submission.
  scale: What is labelled, classes (nominal) or numbers (interval).
  items: Items with at least one answer.
  labels: Answers, repeats counted once.
  workers: Workers who gave them.
  contradictory_labels: Times a worker gave one item a second, different label.
  submissions: Attempts handed in.
  approved: Attempts approved.
  decided: Attempts approved or rejected.
  acceptance_f64: approved over decided.
  percent_agreement_f64: Share of pairs of answers to one item that are equal; null for numbers.
  alpha_f64: Krippendorff's alpha; null where alpha_reason says why.
  alpha_reason: Why there is no alpha (no_pairs, no_variation).
  estimator: Whose labels are published (mv, wawa, one_coin, ds); null for numbers.
  gold_items: Gold items with a label.
  gold_mv: Of these, right by the majority vote.
  gold_wawa: Right by Wawa.
  gold_one_coin: Right by the one-coin model.
  gold_ds: Right by Dawid and Skene's model.
  gold_accuracy_f64: Share of gold items the published labels have right; null without gold.
  gold_low_f64: Lower end of its 95 % Wilson interval.
  gold_high_f64: Upper end.
  differing_items: Items on which DS and the majority differ.
  differing_f64: Their share of the items.
  belief: believed or contested; null for numbers.
  belief_reason: What decides it.
  duplicates: Attempts with the same content as an earlier one.
  part_acceptance_f64: Part of the score, acceptance.
  part_agreement_f64: Part of the score, alpha where it is above zero.
  part_gold_f64: Part of the score, lower end of the gold interval.
  part_consensus_f64: Part of the score, share of items on which DS and the majority agree.
  part_uniqueness_f64: Part of the score, share of attempts that repeat nothing.
  score_f64: Weighted mean of the parts that exist.
  score_version: Version of the weights.
rules: [unique(task_id), not_null(title, dataset), references(task_id, core.dataset_quality.task_id)]
metrics:
  dataset_items: {sum: items, by: [task_id, chain_id, dataset_id, dataset, data_type, language, belief], from: platform, title: Items, definition: Items with at least one answer.}
  duplicate_rate: {ratio: [duplicates, submissions], by: [task_id, chain_id, dataset_id, dataset, data_type, language], from: platform, title: Duplicate rate, definition: Attempts with the same content as an earlier one as a share of attempts.}
  decided_share: {ratio: [decided, submissions], by: [task_id, chain_id, dataset_id, dataset, data_type, language], from: platform, title: Decided, definition: Attempts approved or rejected as a share of attempts.}
*/
with newest as (
    select task_id, title, data_type, language
    from core.tasks
    qualify row_number() over (partition by task_id order by version desc nulls last) = 1
)

select
    quality.task_id, coalesce(newest.title, quality.task_id) as title, newest.data_type, newest.language,
    quality.chain_id, quality.dataset_id, coalesce(assets.name, newest.title, quality.task_id) as dataset,
    quality.day, quality.scale, quality.items, quality.labels, quality.workers, quality.contradictory_labels,
    quality.submissions, quality.approved, quality.decided, quality.acceptance_f64, quality.percent_agreement_f64,
    quality.alpha_f64, quality.alpha_reason, quality.estimator, quality.gold_items, quality.gold_mv,
    quality.gold_wawa, quality.gold_one_coin, quality.gold_ds, quality.gold_accuracy_f64, quality.gold_low_f64,
    quality.gold_high_f64, quality.differing_items, quality.differing_f64, quality.belief, quality.belief_reason,
    quality.duplicates, quality.part_acceptance_f64, quality.part_agreement_f64, quality.part_gold_f64,
    quality.part_consensus_f64, quality.part_uniqueness_f64, quality.score_f64, quality.score_version
from core.dataset_quality as quality
left join newest
    on newest.task_id = quality.task_id
left join core.assets as assets
    on assets.chain_id = quality.chain_id and assets.asset_id = quality.dataset_id
