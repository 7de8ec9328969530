"""The choices a page offers. Each stands in the URL, so a copied link shows the same numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import streamlit as st

from dashboards import standing
from dashboards.data import Days
from dashboards.lookups import Token

SPANS = {"7 days": 7, "30 days": 30, "90 days": 90, "All": 0}


@dataclass(frozen=True, slots=True)
class Window:
    """UTC days, both included; ``since`` None is everything."""

    since: date | None
    until: date | None
    first: date | None  # of the data

    @property
    def compare(self) -> str | None:
        """``previous`` where the data covers all of the window before; a part of it would show a false rise."""
        if self.since is None or self.until is None or self.first is None:
            return None
        return "previous" if self.since - (self.until - self.since) - timedelta(days=1) >= self.first else None

    @property
    def against(self) -> str:
        return f"vs {(self.until - self.since).days + 1} d before" if self.since and self.until else ""

    def days(self) -> Days:
        """What ``metric`` takes."""
        return Days(since=self.since, until=self.until)


def bar() -> Any:
    """One row of choices that wraps."""
    return st.container(horizontal=True, vertical_alignment="top", gap="medium")


def window(span: tuple[date | None, date | None], default: str = "90 days") -> Window:
    """The last days up to the newest day of the data, never up to this machine's clock."""
    first, last = span
    label = picked("Period", list(SPANS), default, key="period")
    if last is None or not SPANS[label]:
        return Window(None, None, first)
    return Window(last - timedelta(days=SPANS[label] - 1), last, first)


def grain() -> str:
    return picked("By", ["Day", "Week", "Month"], "Day", key="grain").lower()


def picked(label: str, options: list[str], default: str, *, key: str) -> str:
    """One of a few, as buttons side by side."""
    chosen = st.segmented_control(label, options, default=default, required=True, key=key, bind="query-params")
    return str(chosen)


def one_of(label: str, options: list[str], named: Callable[[str], str], *, key: str) -> str:
    """One of many things that have ids. The URL holds the id, which a bound widget would replace by its label."""
    asked = st.query_params.get(key)
    place = options.index(asked) if asked in options else 0
    chosen = str(st.selectbox(label, options, index=place, format_func=named, width=280))
    if chosen != asked and (asked or chosen != options[0]):  # a default stays out of the URL
        st.query_params[key] = chosen
    return chosen


def token(found: list[Token], *, key: str = "token") -> Token:
    """Which token: amounts of two tokens are never added. Named by chain too where two share a symbol."""
    names = labels(found)
    if len(names) > 6:
        chosen = st.selectbox("Token", list(names), key=key, bind="query-params", width=240)
    else:
        chosen = picked("Token", list(names), next(iter(names)), key=key)
    return names[str(chosen)]


def labels(found: list[Token]) -> dict[str, Token]:
    seen = [one.symbol for one in found]
    chains = {one.chain_id: one.name for one in standing.chains()}
    return {
        one.symbol if seen.count(one.symbol) == 1 else f"{one.symbol} on {chains.get(one.chain_id, one.chain_id)}": one
        for one in found
    }
