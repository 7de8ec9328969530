"""Dataset quality: which labels can be believed, and who gave them?"""

import polars as pl
import streamlit as st

from dashboards import charts, choices, data, figures, frame, tiles, work
from dashboards.data import metric
from dashboards.tiles import Tile

ICON = ":material/fact_check:"
PLACE = 2
BELIEFS = {"believed": "✓ believed", "contested": "▲ contested"}
ACCEPTED = "Approved ÷ decided attempts."
CONTESTED = "Estimators differ on 5 % or more of the items, and gold does not decide."
DIFFERING = "Items on which Dawid-Skene and the majority differ ÷ items: where to spend gold and reviews."
DRAWN = 16  # tasks in a chart; the table has all

with frame.page(__doc__, needs="marts.dataset_quality") as page:
    every = work.tasks(data.rows("marts.dataset_quality", order=["task_id"]))
    with choices.bar():
        belief = choices.picked("Show", ["All", "Believed", "Contested"], "All", key="show").lower()
        origin = choices.picked("From", ["All", "Platform", "Public sets"], "All", key="from")
    crowd = pl.col("task_id").str.starts_with("crowd:")
    shown = every.filter(
        (pl.lit(belief == "all") | (pl.col("belief") == belief))
        & (pl.lit(origin == "All") | (crowd if origin == "Public sets" else ~crowd))
    )
    asked = metric("labelled_items", "duplicate_rate", where={"task_id": shown["task_id"].to_list()})
    total = {name: int(shown[name].sum()) for name in ("approved", "decided", "differing_items", "items", "labels")}

    tiles.row(
        [
            Tile("Tasks", shown.height, "Each labels one dataset; a dataset may have several."),
            tiles.count("Items", asked, "labelled_items", ""),
            Tile("Answers", total["labels"], "Repeats counted once."),
            Tile("Believed", shown.filter(pl.col("belief") == "believed").height, "Estimators agree, or gold decides."),
        ]
    )
    tiles.row(
        [
            Tile("Contested", shown.filter(pl.col("belief") == "contested").height, CONTESTED),
            Tile(
                "Accepted", figures.part(total["approved"], total["decided"]), "Approved ÷ decided attempts.", "percent"
            ),
            Tile("Disagreement", figures.part(total["differing_items"], total["items"]), DIFFERING, "percent"),
            tiles.ratio("Duplicates", asked, "duplicate_rate", "Attempts that repeat an earlier one ÷ attempts.", ""),
        ]
    )

    judged = (
        shown.filter(pl.col("gold_accuracy_f64").is_not_null()).sort("gold_accuracy_f64", descending=True).head(DRAWN)
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Right on gold, with 95 % interval", anchor=False)
        if judged.height:
            charts.show(
                charts.intervals(
                    judged.select(
                        "name",
                        "gold_accuracy_f64",
                        "gold_low_f64",
                        "gold_high_f64",
                        pl.col("belief").replace(BELIEFS).alias("standing"),
                        "gold",
                    ),
                    "name",
                    "gold_accuracy_f64",
                    "gold_low_f64",
                    "gold_high_f64",
                    colour="standing",
                    order=list(BELIEFS.values()),
                    unit="of gold items labelled right",
                    tips={"name": "Task", "gold": "Right on gold", "standing": "Belief"},
                ),
                says="Share of gold items labelled right, with its 95 percent Wilson interval, for each task.",
            )
        else:
            st.caption("No task of this choice has gold items.")
    with right:
        st.subheader("Estimators side by side", anchor=False)
        strips = work.estimators(judged)
        if strips.height:
            charts.show(
                charts.dots(
                    strips,
                    "name",
                    "accuracy",
                    "estimator",
                    order=list(work.ESTIMATORS.values()),
                    sort=judged["name"].to_list(),
                    unit="of gold items labelled right",
                    tips={"name": "Task", "estimator": "Estimator", "right": "Right on gold"},
                ),
                says="Share of gold items that each estimator labels right, for each task.",
            )
        else:
            st.caption("Estimators are compared where there is gold.")

    st.subheader("Task by task", anchor=False)
    page.table(
        "tasks",
        shown.with_columns(pl.col("belief").replace(BELIEFS).alias("standing")).sort(
            "belief", "differing_f64", "task_id", descending=[True, True, False], nulls_last=True
        ),
        {
            "name": st.column_config.TextColumn("Task", pinned=True),
            "dataset": st.column_config.TextColumn("Dataset"),
            "standing": st.column_config.TextColumn("Belief"),
            "score_f64": st.column_config.ProgressColumn(
                "Score", format="%.2f", min_value=0, max_value=1, width="small"
            ),
            "gold": st.column_config.TextColumn(
                "Right on gold, 95 % interval", help="Share, Wilson interval, gold items."
            ),
            "alpha_f64": st.column_config.NumberColumn(
                "Alpha", format="%.2f", width="small", help="Krippendorff: 1 agree, 0 chance."
            ),
            "acceptance_f64": st.column_config.NumberColumn("Accepted", format="percent", width="small"),
            "differing_f64": st.column_config.NumberColumn(
                "Differ", format="percent", width="small", help="Items on which Dawid-Skene and the majority differ."
            ),
            "estimator_name": st.column_config.TextColumn("Published", width="small"),
            "items": st.column_config.NumberColumn("Items", format="localized", width="small"),
            "labels": st.column_config.NumberColumn("Answers", format="localized", width="small"),
            "workers": st.column_config.NumberColumn("Workers", format="localized", width="small"),
            "duplicates": st.column_config.NumberColumn("Duplicates", format="localized", width="small"),
            "belief_reason": st.column_config.TextColumn("What decides"),
        },
        says="Tasks with belief, score, gold accuracy, alpha, acceptance and the disagreement of estimators.",
    )

    st.subheader("Workers", anchor=False)
    st.caption(
        "Signals are for review, never verdicts: a fast worker may be good, and two who agree may both be right."
    )
    with choices.bar():
        names = {"all": "All tasks"} | dict(every.select("task_id", "name").iter_rows())
        task = choices.one_of("Task", list(names), names.__getitem__, key="task")
        flagged = choices.picked("Workers", ["All", "With signals"], "With signals", key="workers") == "With signals"
    workers = data.rows(
        "marts.worker_quality", {} if task == "all" else {"task_id": task}, order=["task_id", "worker"], limit=200_000
    )
    if flagged and workers.height:
        workers = workers.filter(pl.col("flags").fill_null("") != "")
    page.table(
        "workers",
        work.workers(workers, every),
        {
            "who": st.column_config.TextColumn("Worker", pinned=True),
            "task": st.column_config.TextColumn("Task"),
            "signals": st.column_config.TextColumn("Signals"),
            "labels": st.column_config.NumberColumn("Answers", format="localized", width="small"),
            "gold": st.column_config.TextColumn("Right on gold, 95 % interval"),
            "annotator_accuracy_f64": st.column_config.NumberColumn("Approved", format="percent", width="small"),
            "reviewer_accuracy_f64": st.column_config.NumberColumn("As reviewer", format="percent", width="small"),
            "ds_skill_f64": st.column_config.NumberColumn("DS skill", format="percent", width="small"),
            "one_coin_skill_f64": st.column_config.NumberColumn("1-coin skill", format="percent", width="small"),
            "median_seconds_f64": st.column_config.NumberColumn("s an item", format="%.0f", width="small"),
            "longest_run": st.column_config.NumberColumn("Longest run", format="localized", width="small"),
            "copies": st.column_config.TextColumn("Same mistakes as"),
        },
        says="Workers with their signals, gold accuracy and interval, approval, skill and pace.",
    )
