"""`patterns shadow`: how far a shadow's answers are from the champion's, as a table."""

import io
from typing import Any

from rich.console import Console

from app.commands.shadow import print_shadow

SAID = {
    "pattern": "line",
    "version": 2,
    "champion": 1,
    "since": "2026-05-31T18:00:00+00:00",
    "questions": 100,
    "copied": 10,
    "dropped": 0,
    "failed": 0,
    "rows": 12,
    "outputs": {"y": {"rmse": 1.5, "mae": 1.25, "bias": -0.5, "card": 3.4}},
    "share": 0.1,
    "kept": True,
}


def printed(**changes: Any) -> list[str]:
    target = io.StringIO()
    print_shadow(Console(file=target, width=160), SAID | changes)
    return [line.strip() for line in target.getvalue().splitlines() if line.strip()]


def test_numbers_are_shown_by_output() -> None:
    head, copied, columns, *_, row = printed()
    assert head == "line version 2, the shadow of version 1   12 rows compared since 2026-05-31T18:00:00+00:00"
    assert copied == "Of 100 live questions: 10 copied."
    assert "RMSE of the differences" in columns and "the champion's test RMSE" in columns
    assert [part for part in row.split() if part not in "│┃"] == ["y", "1.5", "1.25", "-0.5", "3.4"]


def test_labels_are_shown_by_the_share_that_agrees() -> None:
    said = printed(outputs={"species": {"agreement": 0.98, "distance": 0.03, "card": 0.96}})
    assert "same label" in said[2]
    assert [part for part in said[-1].split() if part not in "│┃"] == ["species", "0.98", "0.03", "0.96"]


def test_what_was_lost_is_said() -> None:
    assert printed(dropped=3, failed=1)[1] == "Of 100 live questions: 10 copied, 3 dropped, 1 failed."
    assert printed(questions=1, copied=0, rows=0, outputs={})[1:] == [
        "Of 1 live question: 0 copied.",
        "Nothing was compared in this time.",
    ]
