"""Whether to believe it: rules and gates, agreement and skill, and the four-way match of earned and paid."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from guelta.lake import Lake
    from models import Model
    from quality.expectations import Gate

__all__ = ["gate", "tables"]

CORE = Path(__file__).parent / "core"


def tables() -> "list[Model]":
    """Every table of the house: the models', and those of this room that need its estimators and its matching."""
    import models

    return models.load(also=[CORE])


def gate(lake: "Lake", *, day: "date | None" = None) -> "Gate":
    """The gate for ``models.build.build``: rules and assertions as Great Expectations suites over the staged rows."""
    from quality.expectations import gate as make

    return make(lake, day=day)
