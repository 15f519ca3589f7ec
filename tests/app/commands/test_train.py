"""`patterns train --missing`: the catalogue's patterns that the store lacks, or holds only damaged."""

import pytest

from app.commands.serve import train_missing_patterns
from app.commands.train import missing_specs, spec_named
from models_store.errors import StoreUnwritable
from models_store.storage.store import Store
from tests.app.over_http import fork
from training.recipe.spec import PatternSpec, catalogue


@pytest.fixture(autouse=True)
def whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of the settings holds a version of everything in the catalogue."""
    monkeypatch.setenv("PATTERNS_STORE", str(store.root))
    for name in catalogue():
        store.publish(fork(name))


def damage(store: Store) -> None:
    (store.root / "add-ten" / "1" / "network.keras").write_bytes(b"scratched")


def test_where_nothing_is_missing_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert missing_specs() == []
    assert capsys.readouterr().err == "the store has all of the catalogue: nothing to train\n"


def test_a_damaged_pattern_is_missing_and_set_aside(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    damage(store)
    assert [spec.name for spec in missing_specs()] == ["add-ten"]
    said = " ".join(capsys.readouterr().err.split())
    assert "is damaged and was moved into" in said
    assert said.endswith("the store lacks add-ten")
    assert store.versions("add-ten") == []


def test_a_damaged_pattern_is_trained_again_before_serving(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(store)
    trained: list[str] = []

    def train(specs: list[PatternSpec], *, promote: bool) -> int:
        trained.extend(spec.name for spec in specs)
        return 0

    monkeypatch.setattr("app.commands.serve.train_all", train)
    train_missing_patterns()
    assert trained == ["add-ten"]


def test_a_damaged_pattern_is_trained_by_its_name(store: Store) -> None:
    damage(store)
    assert spec_named("add-ten") == catalogue()["add-ten"]


def test_a_store_that_cannot_be_written_counts_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unwritable(_: Store) -> list[str]:
        raise StoreUnwritable("Read-only file system")

    monkeypatch.setattr(Store, "recover", unwritable)
    assert missing_specs() == []
