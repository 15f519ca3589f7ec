"""`patterns drift`: what a server was asked, as a table with a bar for each bucket."""

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from rich.console import Console

from app.commands.drift import NobodyListens, drift_of, print_drift
from models_store.storage.store import Store
from tests.app.drift.test_drift_route import ask, ten_columns
from tests.app.over_http import serving

JSON = {"content-type": "application/json"}


def printed(said: dict[str, Any]) -> str:
    target = io.StringIO()
    print_drift(Console(file=target, width=80), said)
    return target.getvalue()


@pytest.mark.anyio
async def test_columns_and_verdicts_are_shown(store: Store) -> None:
    store.publish(ten_columns())
    async with serving(store) as client:
        few = (await client.get("/patterns/ten/drift")).json()
        rows = np.random.default_rng(1).normal(size=(500, 10))
        rows[:, 6] += 0.5
        await ask(client, rows, 100)
        await outcomes(client)
        many = (await client.get("/patterns/ten/drift")).json()
    assert "0 rows since" in printed(few) and "A verdict takes 100 rows" in printed(few)
    lines = printed(many).splitlines()
    assert lines[0].startswith("ten version 1   500 rows since 20")
    assert [line.split()[:2] for line in lines if " drift " in line and "PSI" not in line] == [["x7", "drift"]]
    assert lines[3].split() == ["column", "drift", "PSI", "beyond", "JS", "missing", "unseen", "outside", "asked"]
    of_columns = [(place, line.split()) for place, line in enumerate(lines) if line.startswith(" x")]
    assert len(of_columns) == 10
    for place, cells in of_columns:
        # One line of figures and the bars of training, and below it those of what was asked.
        assert len(cells) == 9 and "█" in cells[-1] + lines[place + 1] and len(lines[place + 1].split()) == 1
    few_of_many = many["columns"][0] | {"name": "x" * 20, "psi": 12.3456, "js": 0.012345, "unseen": 0.00004}
    [line] = [line for line in printed(many | {"columns": [few_of_many]}).splitlines() if line.startswith(" xxx")][:1]
    assert [line.split()[place] for place in (2, 4, 5, 6)] == ["12.3", "0.0123", "0", "<1e-4"]
    assert lines[-1] == "1 row whose right answers are known: rmse 2, beside the card's 0"


async def outcomes(client: httpx.AsyncClient) -> None:
    body = {"inputs": [[0.0] * 10], "outcomes": [2.0]}
    assert (await client.post("/patterns/ten/outcomes", content=json.dumps(body), headers=JSON)).status_code == 200


def test_without_a_server_the_way_out_is_said() -> None:
    with pytest.raises(NobodyListens, match=r"^no server at http://127\.0\.0\.1:9; .* give --url, or start it$"):
        drift_of("ten", "day", None, "http://127.0.0.1:9")
