"""POST /patterns/import: a packed version becomes a new one; it answers at once."""

import httpx
import pytest

from models_store.storage.store import Store
from tests.app.over_http import outputs_of, refusal, serving
from tests.fakes import line

pytestmark = pytest.mark.anyio


async def test_an_exported_bundle_is_imported_and_answers(store: Store) -> None:
    store.publish(line())
    store.publish(line(20))
    async with serving(store) as client:
        packed = await client.get("/patterns/line/export", params={"to": "bundle", "version": 1})
        assert packed.headers["content-type"] == "application/zip"
        assert packed.headers["content-disposition"] == 'attachment; filename="line-1.zip"'
        answer = await client.post("/patterns/import", content=packed.content)
        assert (answer.status_code, answer.json()) == (201, {"pattern": "line", "version": 3})
        assert answer.headers["location"] == "/patterns/line/versions/3"
        assert await outputs_of(client, [3]) == [6.0]
        kept = await client.post("/patterns/import?promote=false", content=packed.content)
        assert kept.json()["version"] == 4
        assert (await client.get("/patterns/line")).json()["champion"] == 3


async def test_what_is_no_bundle_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/patterns/import", content=b"sesame")
    assert refusal(answer) == (422, "import_refused")
    assert answer.json()["error"]["message"] == "nothing was imported: it is no whole zip file"


async def test_an_import_needs_the_admin_key(store: Store) -> None:
    async with serving(store, admin_key="admin", predict_key="predict") as client:
        headers = {"authorization": "Bearer predict"}
        answer = await client.post("/patterns/import", content=b"", headers=headers)
        assert refusal(answer) == (403, "key_wrong")
