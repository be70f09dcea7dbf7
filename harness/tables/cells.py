"""Cells of tables, as people read them; what is missing is `-`."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.text import Text


def as_text(value: Any) -> Text:
    """Text, not markup: a version or a run's name may contain brackets."""
    return Text("-" if pd.isna(value) else str(value))


def as_number(value: Any, form: str) -> str:
    """`15,083` by the form `,.0f`."""
    return "-" if pd.isna(value) else format(float(value), form)


def as_interval(low: Any, high: Any, form: str) -> str:
    """`14,864..15,304` by the form `,.0f`."""
    return "-" if pd.isna(low) or pd.isna(high) else f"{float(low):{form}}..{float(high):{form}}"
