"""Which column of which file is to be predicted, as a targets file says it.

{"tides.csv": "height", "visits.csv": {"target": "count", "task": "regression"}}      JSON, or the same in YAML
file,target,task                                                                      or CSV; the task may be left
tides.csv,height,                                                                     out, and so may the header
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

Task = Literal["auto", "regression", "classification"]
HEADER = ("file", "target")


class TargetsError(Exception):
    """A targets file that cannot be read; the message says where and what was expected."""


@dataclass(frozen=True)
class Target:
    column: str
    task: Task = "auto"
    """auto: what a training of ours makes of the column."""


def read(path: Path) -> dict[str, Target]:
    """Return the target of each file, by the file's name as it stands there. Raises TargetsError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise TargetsError(f"{path.name}: cannot be read: {type(error).__name__}") from None
    said = dict(_of_lines(text) if path.suffix in (".csv", ".tsv", ".txt") else _of_mapping(path.name, text))
    if not said:
        raise TargetsError(f"{path.name}: no file has a target there; expected lines such as tides.csv: height")
    return said


def files_in(folder: Path, targets: Mapping[str, Target]) -> dict[Path, Target]:
    """Return the files of a folder that are named, with or without .csv. Raises TargetsError where one is not there."""
    found = {}
    for name, target in targets.items():
        places = [place for place in (folder / name, folder / f"{name}.csv") if place.is_file()]
        if not places:
            there = ", ".join(sorted(path.name for path in folder.glob("*.csv"))) or "no CSV file"
            raise TargetsError(f"{name}: is not in {folder}, which has {there}")
        found[places[0]] = target
    return found


def _of_lines(text: str) -> Iterator[tuple[str, Target]]:
    lines = text.splitlines()
    delimiter = next((one for one in ("\t", ";", ",") if any(one in line for line in lines)), ",")
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), 1):
        if not any(cells) or tuple(cell.lower() for cell in cells[:2]) == HEADER:
            continue
        if len(cells) not in (2, 3):
            raise TargetsError(f"line {number} has {len(cells)} cells; expected file, target and perhaps task")
        yield cells[0], _target(cells[0], *(cell.strip() for cell in cells[1:]))


def _of_mapping(name: str, text: str) -> Iterator[tuple[str, Target]]:
    try:
        said: Any = yaml.safe_load(text)  # JSON is YAML too
    except yaml.YAMLError as error:
        raise TargetsError(f"{name}: is neither JSON nor YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(said, dict):
        raise TargetsError(f"{name}: expected a mapping from files to target columns")
    for file, value in said.items():
        if not isinstance(value, str | dict):
            raise TargetsError(f"{file}: expected the name of a column, or {{target: NAME, task: regression}}")
        yield str(file), _target(file, **value) if isinstance(value, dict) else _target(file, value)


def _target(file: str, target: str = "", task: str = "auto", **unknown: object) -> Target:
    if not target or unknown:
        raise TargetsError(f"{file}: expected a target, and perhaps a task; found {', '.join(unknown) or 'no target'}")
    for known in get_args(Task):
        if known == (task or "auto"):
            return Target(target, known)
    raise TargetsError(f"{file}: task is {task!r}; expected one of {', '.join(get_args(Task))}")
