"""docs/ARCHITECTURE.md: the files, nouns and rooms that it names are those of the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs" / "ARCHITECTURE.md").read_text()
PACKAGES = ("app", "training", "models_store")
SEAM = "models_store/networks/keras_network.py"

PATH = re.compile(rf"\b(?:{'|'.join(PACKAGES)}|tests|docs|benchmarks)/[\w./]*")
NOUNS = re.compile(r"^\| (`.+`) \| (\S+) \|", re.MULTILINE)
ROOM = re.compile(r"^ ?(\d+)  (\w+) ", re.MULTILINE)


def homes() -> list[tuple[str, str]]:
    """Return each noun of the table with the path of its home."""
    return [(noun, home) for nouns, home in NOUNS.findall(PAGE) for noun in re.findall(r"`(\w+)`", nouns)]


def defined_in(path: Path) -> set[str]:
    """Return the names of the classes, functions and variables at the top level of a file."""
    statements = ast.parse(path.read_text()).body
    named = {node.name for node in statements if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    targets = chain.from_iterable(node.targets for node in statements if isinstance(node, ast.Assign))
    return named | {target.id for target in targets if isinstance(target, ast.Name)}


def rooms_of(package: str) -> list[set[str]]:
    """Return the rooms that the page lists, those with the same number together, from high to low."""
    block = re.search(rf"^{package}\n(( ?\d+  .+\n)+)", PAGE, re.MULTILINE)
    assert block is not None
    numbered = [(int(number), room) for number, room in ROOM.findall(block[1])]
    assert [number for number, _ in numbered] == sorted(number for number, _ in numbered)
    return [{room for number, room in numbered if number == layer} for layer in range(1, numbered[-1][0] + 1)]


def layers_of(package: str) -> list[set[str]]:
    """Return the rooms in each layer of the import contract, from high to low."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract.get("containers") == [package]]
    return [set(re.findall(r"\w+", layer)) for layer in layers]


def importers_of_the_seam() -> Iterator[str]:
    for package in PACKAGES:
        for path in (PROJECT / package).rglob("*.py"):
            if "from models_store.networks.keras_network import" in path.read_text():
                yield str(path.relative_to(PROJECT))


def test_every_path_exists() -> None:
    paths = PATH.findall(PAGE)
    assert SEAM in paths
    assert [path for path in paths if not (PROJECT / path.rstrip(".")).exists()] == []


def test_every_noun_is_defined_in_its_home() -> None:
    assert len(homes()) > 50
    assert [(noun, home) for noun, home in homes() if noun not in defined_in(PROJECT / home)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_stand_in_the_order_of_the_import_contract(package: str) -> None:
    assert rooms_of(package) == layers_of(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_listed(package: str) -> None:
    entries = [
        path for path in (PROJECT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    assert {path.stem for path in entries} - {"__init__"} == set().union(*rooms_of(package))


def test_the_modules_that_take_keras_from_the_seam_are_named() -> None:
    paragraph = PAGE[: PAGE.index("## Rooms")]
    assert sorted(importers_of_the_seam()) == sorted({*PATH.findall(paragraph)} - {SEAM})
