/*
title: How well each worker works, task by task
grain: [task_id, worker]
columns:
  task_id: The task.
  worker: The party that annotated or reviewed.
  name: The name the worker chose; its id where it gave none.
  dataset_id: The dataset the task feeds; null where none is registered.
  day: UTC day of the worker's last submission; null for one who only reviewed.
  submissions: Attempts handed in.
  labels: Labels given, repeats counted once.
  contradictory_labels: Items to which the worker gave more than one label.
  approved: Own annotations that were reviewed and approved.
  reviewed: Own annotations that were reviewed.
  annotator_accuracy_f64: approved over reviewed, the platform's own definition.
  accept_shrunk_f64: The same, drawn towards the task's other workers where few were reviewed.
  reviews: Reviews given on annotations that somebody else reviewed too.
  reviews_alone: Reviews that nobody else can confirm.
  agreed_numerator: Reviewer accuracy, numerator of the exact fraction.
  agreed_denominator: Its denominator; null without reviews.
  reviewer_accuracy_f64: Mean share of the other reviewers of an annotation who decided the same.
  gold_right: Gold items labelled right.
  gold_items: Gold items labelled.
  gold_accuracy_f64: The share.
  gold_low_f64: Lower end of its 95 % Wilson interval.
  gold_high_f64: Upper end.
  wawa_skill_f64: Share of own labels equal to the majority.
  one_coin_skill_f64: Probability of a right label in the one-coin model.
  ds_skill_f64: The same in Dawid and Skene's model; null below K x K labels, which it has as parameters.
  median_seconds_f64: Median seconds for an item.
  longest_run: Longest run of one label in the order of submission.
  too_fast: Faster than nearly everybody else on the task.
  constant_labels: A run of one label too long to be chance.
  copies: Workers with the same mistakes beyond chance, comma-separated; a signal for review, never a verdict.
  flags: The signals that are set, comma-separated.
rules: [unique(task_id, worker), not_null(name), references(task_id, worker, core.worker_quality)]
metrics:
  worker_labels: {sum: labels, by: [task_id, dataset_id, worker, name], from: platform, title: Labels by worker, definition: "Labels given, repeats counted once."}
  gold_hits: {ratio: [gold_right, gold_items], by: [task_id, dataset_id, worker, name], from: platform, title: Gold accuracy, definition: Gold items labelled right as a share of gold items labelled.}
*/
select
    quality.task_id, quality.worker, coalesce(parties.name, quality.worker) as name, quality.dataset_id,
    quality.day, quality.submissions, quality.labels, quality.contradictory_labels, quality.approved,
    quality.reviewed, quality.annotator_accuracy_f64, quality.accept_shrunk_f64, quality.reviews,
    quality.reviews_alone, quality.agreed_numerator, quality.agreed_denominator, quality.reviewer_accuracy_f64,
    quality.gold_right, quality.gold_items, quality.gold_accuracy_f64, quality.gold_low_f64, quality.gold_high_f64,
    quality.wawa_skill_f64, quality.one_coin_skill_f64, quality.ds_skill_f64, quality.median_seconds_f64,
    quality.longest_run, quality.too_fast, quality.constant_labels, quality.copies, quality.flags
from core.worker_quality as quality
left join core.parties as parties
    on parties.party = quality.worker
