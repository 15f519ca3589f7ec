"""Patterns trained on small tables, with columns of every kind: real encoders and decoders around a fake network."""

from typing import Any

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Bundle, Evaluation, Predictor
from models_store.card import Baselines, Card, Column, Gap, LabelScore, Measured, Score, Value
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.dates import DateEncoder
from models_store.encoding.numbers import BooleanEncoder, NumberEncoder
from models_store.encoding.outputs import Decoder, LabelDecoder, LabelKind, OutputDecoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.encoding.texts import TextEncoder
from models_store.encoding.times import DurationEncoder, TimeEncoder
from models_store.networks.architecture import Architecture, Layer
from models_store.tables.table import Cell, Kind, Table, Values, column_of, from_json, to_json, written
from tests.fakes import LinearNetwork, card
from training.data.dataset import Dataset, Labels, Rows
from training.recipe.spec import PatternSpec

PASSENGERS: dict[str, tuple[Kind, list[Any]]] = {
    "age": ("number", [22, 38, None, 35, 54, 2, 27, 14]),
    "port": ("category", ["S", "C", "S", "S", None, "C", "Q", "Q"]),
    "crew": ("boolean", [False, True, False, True, True, False, False, False]),
    "boarded": ("date", ["1912-04-10", "1912-04-10", "1912-04-11", "1912-04-10"] * 2),
    "note": ("text", ["first class", "third class cabin", "cabin", "a first trip", "third", "class", "trip", "cabin"]),
}


def passengers(pattern: str = "passengers") -> Bundle:
    """A pattern with every kind of column; age and port were missing in some training rows. Survived: no or yes."""
    return tabular(pattern, PASSENGERS, LabelDecoder("survived", ("no", "yes")))


def flowers(
    pattern: str = "flowers",
    labels: tuple[str, ...] = ("setosa", "versicolor", "virginica"),
    kind: LabelKind = "text",
) -> Bundle:
    """A pattern with two columns of numbers, and a label."""
    table: dict[str, tuple[Kind, list[Any]]] = {
        "length": ("number", [1.5, 4.5, 5.5, 1.25]),
        "width": ("number", [0.25, 1.5, 2, None]),
    }
    return tabular(pattern, table, LabelDecoder("species", labels, kind))


def messages(pattern: str = "messages") -> Bundle:
    """A pattern with one column of text, and a label."""
    table: dict[str, tuple[Kind, list[Any]]] = {
        "message": ("text", ["win a prize", "win money", "a cup of tea", "tea"])
    }
    return tabular(pattern, table, LabelDecoder("spam", ("false", "true"), "boolean"))


def rents(pattern: str = "rents") -> Bundle:
    """A pattern with a number to predict."""
    table: dict[str, tuple[Kind, list[Any]]] = {
        "rooms": ("number", [1, 2, 3, 4]),
        "district": ("category", ["north", "south", "south", "north"]),
    }
    return tabular(pattern, table, OutputDecoder(("rent",), Scaler("standard", np.array([800.0]), np.array([256.0]))))


def tabular(pattern: str, columns: dict[str, tuple[Kind, list[Any]]], decoder: Decoder) -> Bundle:
    """Return a bundle whose encoders were fitted on these columns; its weights lie between -1 and 1."""
    kinds = {name: kind for name, (kind, _) in columns.items()}
    table = Table({name: a_column(kind, cells) for name, (kind, cells) in columns.items()})
    encoder = TableEncoder({name: encoder_of(kind, table.columns[name]) for name, kind in kinds.items()})
    labels = decoder.labels if isinstance(decoder, LabelDecoder) else ()
    activation = "linear" if not labels else "sigmoid" if len(labels) == 2 else "softmax"
    n_weights = encoder.n_inputs * decoder.n_outputs
    weights = np.sin(np.arange(1, n_weights + 1)).reshape(encoder.n_inputs, -1).astype(np.float32)
    predictor = Predictor(encoder, LinearNetwork(weights, activation), decoder)
    answers = predictor.predict(table)
    numbers = np.arange(len(table), dtype=np.float64).reshape(-1, 1) % len(labels) if labels else answers
    return Bundle(
        pattern=pattern,
        recipe=recipe(pattern, decoder.columns),
        architecture=Architecture(encoder.n_inputs, (Layer(decoder.n_outputs, activation),)),
        predictor=predictor,
        card=_card(columns, table, decoder, answers.tolist()),
        history={"loss": [0.5, 0.25], "val_loss": [0.5, 0.125]},
        evaluation=Evaluation(answers.tolist(), numbers.tolist()),
        golden_inputs=table,
    )


def split_table(
    columns: dict[str, tuple[Kind, list[Any]]], targets: Array, *labels: str
) -> tuple[Dataset, TableEncoder]:
    """A table whose first four fifths are training rows and the rest test rows, and encoders of its training rows."""
    kinds = {name: kind for name, (kind, _) in columns.items()}
    rows = Rows(Table({name: a_column(kind, cells) for name, (kind, cells) in columns.items()}), targets)
    n_train = 4 * len(rows) // 5
    train, test = rows.take(slice(n_train)), rows.take(slice(n_train, None))
    names = tuple(f"y{place}" for place in range(targets.shape[1]))
    data = Dataset(kinds, names, train, None, test, labels=Labels(labels, "text") if labels else None)
    assert isinstance(train.inputs, Table)
    return data, TableEncoder({name: encoder_of(kind, train.inputs.columns[name]) for name, kind in kinds.items()})


def score_of_numbers(rmse: float) -> Score:
    return Score(rmse=rmse, mae=rmse, median_error=rmse, r2=None, max_error=rmse)


def score_of_labels(accuracy: float) -> LabelScore:
    figures = {"accuracy": accuracy, "log_loss": 1.0, "balanced_accuracy": accuracy, "f1": accuracy, "roc_auc": None}
    return LabelScore.model_validate({**figures, "confusion": [], "precision": [], "recall": []})


def table_of(kinds: dict[str, Kind], rows: list[list[Any]]) -> Table:
    """Return rows of JSON values as a table."""
    columns = zip(*rows, strict=True)
    return Table(
        {name: a_column(kind, list(cells)) for (name, kind), cells in zip(kinds.items(), columns, strict=True)}
    )


def a_column(kind: Kind, values: list[Any]) -> Values:
    cells: list[Cell] = [None if value is None else from_json(kind, value) for value in values]
    return column_of(kind, cells)


def encoder_of(kind: Kind, values: Values) -> ColumnEncoder:
    match kind:
        case "number":
            return NumberEncoder.fit(values, bins=2)
        case "boolean":
            return BooleanEncoder.fit(values)
        case "time":
            return TimeEncoder.fit(values, bins=2)
        case "duration":
            return DurationEncoder.fit(values, bins=2)
        case "date":
            return DateEncoder.fit(values)
        case "category":
            return CategoryEncoder.fit(values)
        case "text":
            return TextEncoder.fit(values, weighting="tf-idf")


def recipe(pattern: str, target: tuple[str, ...]) -> dict[str, Any]:
    data = {"kind": "table", "dataset": "0" * 32, "target": list(target)}
    return PatternSpec.parse({"name": pattern, "description": "a fake of a table", "data": data}).to_json()


def _card(
    columns: dict[str, tuple[Kind, list[Any]]], table: Table, decoder: Decoder, answers: list[list[float]]
) -> Card:
    labels = decoder.labels if isinstance(decoder, LabelDecoder) else ()
    kinds = {name: kind for name, (kind, _) in columns.items()}
    named = [column.tolist() for column in decoder.named(np.array(answers)).values()]
    score: Score | LabelScore = (
        _label_score(len(labels)) if labels else Score(rmse=4, mae=3, median_error=2, r2=0.75, max_error=9)
    )
    measured = Measured(rows=len(table), overall=score, outputs=dict.fromkeys(decoder.columns, score))
    values: list[Value] | None = list(labels) or None
    figures = {"majority": 0.5, "linear": 0.625, "trees": 0.75, "network": 0.875}
    return card().model_copy(
        update={
            "task": "classification" if labels else "regression",
            "inputs": [_column(name, kind, table.columns[name]) for name, kind in kinds.items()],
            "outputs": [Column(name=decoder.columns[0], kind="category" if labels else "number", values=values)],
            "train": measured,
            "test": measured,
            "author_metrics": {"accuracy": 0.875} if labels else {"rmse": 4.0},
            "baselines": Baselines(
                metric="accuracy" if labels else "rmse",
                figures=figures if labels else {"mean": 9.0, "linear": 6.0, "trees": 5.0, "network": 4.0},
                verdict="The network does better than what needs none.",
            ),
            "gaps": [
                Gap(inputs=list(cells), predicted=list(said), label=list(said), gap=[0.0])
                for cells, said in zip(to_json(table, kinds), zip(*named, strict=True), strict=True)
            ],
        }
    )


def _label_score(n_labels: int) -> LabelScore:
    return LabelScore(
        accuracy=0.875,
        log_loss=0.25,
        balanced_accuracy=0.875,
        f1=0.875,
        roc_auc=0.9375,
        confusion=np.eye(n_labels, dtype=int).tolist(),
        precision=[1.0] * n_labels,
        recall=[1.0] * n_labels,
    )


def _column(name: str, kind: Kind, values: Values) -> Column:
    if kind in ("category", "text"):
        present = sorted({value for value in values if value is not None})
        shown: list[Value] = list(present)
        return Column(name=name, kind=kind, values=shown, missing=sum(value is None for value in values))
    missing = int(np.isnan(values.astype(np.float64)).sum())
    if kind == "boolean":
        return Column(name=name, kind=kind, values=[False, True], missing=missing)
    lowest, highest = float(np.nanmin(values)), float(np.nanmax(values))
    return Column(name=name, kind=kind, minimum=written(kind, lowest), maximum=written(kind, highest), missing=missing)
