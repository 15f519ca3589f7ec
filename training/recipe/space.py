"""The space of a search, checked against the recipe that is searched, and the recipe of a point of it.

    space       {"network.layers": [1, 2], "fit.optimizer.learning_rate": {"low": 0.001, "high": 0.1, "log": true}}
    a point     {"network.layers": 2, "fit.optimizer.learning_rate": 0.02}  ->  a recipe

`network.layers` takes a number of layers, a list of units, or whole layers; `network.layers.*.units` means all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, prod
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.fit import MOST_LAYERS, Adam, Shown
from training.recipe.search import MOST_TRIALS, Choices, Range, Search

if TYPE_CHECKING:
    from training.recipe.spec import PatternSpec

Point = Mapping[str, JsonValue]
"""Values of some fields, by their paths."""

USUAL_TRIALS = 40
# Share of the training rows that trials are scored on if the recipe has no validation rows.
HELD_OUT = 0.2
LAYERS = ("network", "layers")
SEARCHED = frozenset({"network", "fit", "scaling"})
# Other fields of the data would change which rows a trial is scored on, and trials could not be compared.
SEARCHED_WHOLE = frozenset(
    {"seed", *(f"data.{field}" for field in ("numbers", "bins", "categories", "words", "terms", "weighting"))}
)
TAGS = ("fit.optimizer.name", "fit.schedule.name")


def space_of(spec: "PatternSpec", search: Search) -> "Space":
    """Return the checked space. Raises RecipeError, which names the field, where a trial could not be made of it."""
    written = search.space or default_space(spec)
    space = Space({field: written[field] for field in _ordered(written)}, spec)
    space.check()
    if search.method == "grid":
        space.check_grid()
    return space


def with_validation(spec: "PatternSpec", search: Search) -> "PatternSpec":
    """Return the recipe that trials are made of: with validation rows, if it has none and nothing stands in for them.

    So the best trial and the network that is published are the same one, with the weights of its best epoch: the last
    one is a matter of luck. Folds score all rows, and members leave rows out.
    """
    if search.folds is not None or spec.split.validation > 0 or spec.network.most_members > 1:
        return spec
    stopping = {} if spec.fit.early_stopping else {"fit": {"early_stopping": {"patience": spec.fit.most_epochs}}}
    return spec.overridden({"split": {"validation": HELD_OUT}, **stopping})


def default_space(spec: "PatternSpec") -> dict[str, Choices | Range]:
    """Return a space around the recipe that is worth searching without knowing more."""
    optimizer = spec.fit.optimizer
    rate = optimizer.rate_for(Shown()) if isinstance(optimizer, Adam) else optimizer.learning_rate
    space: dict[str, Choices | Range] = {
        "network.layers": Choices(values=(1, 2, 3)),
        "network.layers.*.units": Choices(values=(16, 32, 64, 128)),
        "network.layers.*.activation": Choices(values=("relu", "elu", "silu")),
        "fit.optimizer.learning_rate": Range(low=rate / 10, high=min(rate * 10, 1e9), log=True),
    }
    if isinstance(spec.fit.optimizer, Adam):
        space["fit.optimizer.weight_decay"] = Choices(values=(0.0, 0.001, 0.01, 0.1))
    if isinstance(spec.data, TableData):
        space["network.dropout"] = Choices(values=(0.0, 0.1, 0.2, 0.4))
        space["data.numbers"] = Choices(values=("auto", "scaled"))
    elif spec.scaling.outputs != "shared":
        space["scaling.method"] = Choices(values=("standard", "minmax"))
    return space


@dataclass(frozen=True)
class Space:
    """Fields to choose, each after those that its conditions name; and the recipe that they are fields of."""

    dimensions: Mapping[str, Choices | Range]
    spec: "PatternSpec"

    def is_chosen(self, field: str, point: Point) -> bool:
        """True if the conditions of a field hold, given the fields before it."""
        conditions = self.dimensions[field].when
        return all(self._value(other, point) in accepted for other, accepted in conditions.items())

    def recipe(self, point: Point) -> "PatternSpec":
        """Return the recipe of a trial. Raises RecipeError where it is none."""
        return recipe_at(self._bare, point)

    @cached_property
    def whole(self) -> frozenset[str]:
        """The ranges of whole numbers."""
        return frozenset(field for field, range_ in self.dimensions.items() if self._is_whole(field, range_))

    @cached_property
    def grid(self) -> dict[str, list[JsonValue]]:
        """Return the values of each field. Raises RecipeError for a range without a step."""
        return {field: self.listed(field) for field in self.dimensions}

    def listed(self, field: str) -> list[JsonValue]:
        """Return the values of a field. Raises RecipeError for a range without a step."""
        dimension = self.dimensions[field]
        if isinstance(dimension, Choices):
            return list(dimension.values)
        if dimension.step is None and field not in self.whole:
            raise RecipeError(f"search.space.{field}: a grid needs a step, or a list of values")
        step = dimension.step or 1
        count = floor((dimension.high - dimension.low) / step + 1e-9) + 1
        if count > MOST_TRIALS:
            raise RecipeError(f"search.space.{field}: {count} values; a grid has at most {MOST_TRIALS} combinations")
        return [dimension.low + place * step for place in range(count)]

    @cached_property
    def _bare(self) -> "PatternSpec":
        return self.spec.overridden({"search": None})

    @cached_property
    def _recipe(self) -> dict[str, Any]:
        return self._bare.to_json()

    def _value(self, field: str, point: Point) -> JsonValue:
        return point[field] if field in point else _at(self._recipe, field)

    def _is_whole(self, field: str, dimension: Choices | Range) -> bool:
        if isinstance(dimension, Choices) or not all(
            isinstance(number, int) for number in (dimension.low, dimension.high, dimension.step or 1)
        ):
            return False
        if dimension.step is not None or field == "network.layers":
            return True
        try:
            self.recipe({**self._required(field), field: dimension.low + 0.5})
        except RecipeError:
            return True
        return False

    # -- checks ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        for field in self.dimensions:
            _check_searched(field)
            self._required(field)
        for field, dimension in self.dimensions.items():
            for value in _extremes(dimension):
                self._check_value(field, value)
        for field in self.dimensions:
            self._check_layer(field)

    def check_grid(self) -> None:
        count = prod(map(len, self.grid.values()))
        if count > MOST_TRIALS:
            raise RecipeError(
                f"search.space: a grid of {count} combinations, and {MOST_TRIALS} are the most; give fewer values, or "
                "the method random or bayesian"
            )

    def _check_value(self, field: str, value: JsonValue) -> None:
        """Raise RecipeError where the recipe refuses the value, alone or with another optimiser or schedule."""
        required = self._required(field)
        points: list[Point] = [{**required, field: value}]
        for tag in TAGS:
            part = tag.rpartition(".")[0] + "."
            if tag in self.dimensions and field != tag and field.startswith(part) and tag not in required:
                points += [
                    {**required, tag: name, field: value} for name in _different(_extremes(self.dimensions[tag]))
                ]
        for point in points:
            try:
                self.recipe(point)
            except RecipeError as error:
                raise RecipeError(_at_place(field, _with(point, field), str(error))) from None

    def _check_layer(self, field: str) -> None:
        """Raise RecipeError for a field of a layer that is deeper than every network it is chosen for."""
        parent, _, place = field.rpartition(".")[0].rpartition(".")
        if parent != "network.layers":
            return
        deepest = max(len(_layers(self.spec, {"network.layers": layers})) for layers in self._networks(field))
        if (0 if place == "*" else int(place)) >= deepest:
            there_is = f"a layer {place}; the deepest has {deepest}, counted from 0" if place != "*" else "any layer"
            raise RecipeError(f"search.space.{field}: no network that it is chosen for has {there_is}")

    def _networks(self, field: str) -> Sequence[JsonValue]:
        """Return the values of `network.layers` where a field is chosen, or the extremes of their range."""
        own = self._value("network.layers", {})
        searched = self.dimensions.get("network.layers")
        if searched is None:
            return [own]
        accepted = self._accepted(field).get("network.layers")
        return accepted or [*_extremes(searched), *([own] if searched.when else [])]

    def _required(self, field: str) -> dict[str, JsonValue]:
        """Return values of other fields with which this one is chosen. Raises RecipeError where there are none."""
        return {other: values[0] for other, values in self._accepted(field).items() if other in self.dimensions}

    def _accepted(self, field: str) -> dict[str, list[JsonValue]]:
        """Return the values of other fields with which this one is chosen. Raises RecipeError where there are none."""
        accepted: dict[str, list[JsonValue]] = {}
        for other, values in self._conditions(field):
            known = accepted.get(other, self._possible(field, other))
            accepted[other] = [value for value in known if value in values]
            if not accepted[other]:
                raise RecipeError(
                    f"search.space.{field}: is never chosen, because its conditions exclude each other or name values "
                    f"that {other} never has"
                )
        return accepted

    def _conditions(self, field: str) -> Iterator[tuple[str, tuple[JsonValue, ...]]]:
        """Yield the conditions of a field, and those of the fields that they name, of each field once."""
        named = [field]
        for one in named:
            for other, values in self.dimensions[one].when.items():
                yield other, values
                if other in self.dimensions and other not in named:
                    named.append(other)

    def _possible(self, field: str, other: str) -> list[JsonValue]:
        if other not in self.dimensions:
            return [_at(self._recipe, other, f"search.space.{field}.when")]
        dimension = self.dimensions[other]
        if isinstance(dimension, Range):
            raise RecipeError(f"search.space.{field}.when: {other} is a range; a condition names a field with a list")
        return list(dimension.values)


def recipe_at(spec: "PatternSpec", point: Point) -> "PatternSpec":
    """Return the recipe with the fields of a point replaced. Raises RecipeError where the result is none."""
    changes: dict[str, Any] = {}
    for field, value in point.items():
        *parents, last = field.split(".")
        if tuple(parents[:2]) == LAYERS or field == "network.layers":
            continue
        part = changes
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value
    if any(field.startswith("network.layers") for field in point):
        changes.setdefault("network", {})["layers"] = _layers(spec, point)
    return spec.overridden(changes)


def _layers(spec: "PatternSpec", point: Point) -> list[Any]:
    own = [layer.model_dump(mode="json") for layer in spec.network.layers]
    first: dict[str, Any] = own[0] if own else {"units": 32}
    chosen = point.get("network.layers", own)
    if isinstance(chosen, int) and not isinstance(chosen, bool):
        if not 0 <= chosen <= MOST_LAYERS:
            raise RecipeError(f"network.layers: a network has 0 to {MOST_LAYERS} layers, not {chosen}")
        chosen = [first] * chosen
    if not isinstance(chosen, list):
        raise RecipeError("network.layers: give a number of layers, a list of units, or a list of layers")
    layers: list[Any] = [{**first, "units": layer} if isinstance(layer, int) else layer for layer in chosen]
    # In this order: what is said of one layer goes before what is said of all.
    for field in sorted(point, key=lambda field: "*" not in field):
        _, _, rest = field.partition("network.layers.")
        place, _, name = rest.partition(".")
        if name and place == "*":
            layers = [{**layer, name: point[field]} for layer in layers]
        elif name and place.isdigit():
            layers = [{**layer, name: point[field]} if at == int(place) else layer for at, layer in enumerate(layers)]
        elif rest:
            raise RecipeError(f"{field}: name a field of all layers, as in network.layers.*.units, or of one: 0, 1, …")
    return layers


def _ordered(written: Mapping[str, Choices | Range]) -> list[str]:
    """Return the fields, each after those that its conditions name. Raises RecipeError for a circle of conditions."""
    ordered: list[str] = []

    def add(field: str, below: tuple[str, ...]) -> None:
        if field in below:
            raise RecipeError(f"search.space.{field}: its conditions go round in a circle; leave one of them out")
        if field in ordered:
            return
        for other in written[field].when:
            if other in written:
                add(other, (*below, field))
        ordered.append(field)

    for field in written:
        add(field, ())
    return ordered


def _check_searched(field: str) -> None:
    if field.split(".", maxsplit=1)[0] not in SEARCHED and field not in SEARCHED_WHOLE:
        raise RecipeError(
            f"search.space.{field}: cannot be searched; fields of network, fit and scaling can, and "
            f"{', '.join(sorted(SEARCHED_WHOLE))}"
        )


def _extremes(dimension: Choices | Range) -> tuple[JsonValue, ...]:
    return dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)


def _different(values: Sequence[JsonValue]) -> list[JsonValue]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _at_place(field: str, others: str, message: str) -> str:
    """Return `search.space.fit.schedule: …` of a message that names the field itself, `fit.schedule: …`, first."""
    named = f"search.space.{field}"
    if not others and message.startswith((f"{field}:", f"{field}.")):
        return f"{named}{message.removeprefix(field)}"
    return f"{named}: {others}{message.removeprefix(f'{field}: ')}"


def _with(point: Point, field: str) -> str:
    """Return the other fields of a point that is wrong, in words."""
    others = [f"{other} {value}" for other, value in point.items() if other != field]
    return f"with {', '.join(others)}, " if others else ""


def _at(recipe: Mapping[str, Any], field: str, where: str = "") -> JsonValue:
    """Return the value of a field of a recipe; None where a part of its path is missing.

    Raises RecipeError for a path that no recipe has.
    """
    first, *rest = field.split(".")
    if where and first not in recipe:
        raise RecipeError(f"{where}: a recipe has no field {field}")
    found: JsonValue = recipe[first]
    for name in rest:
        found = found.get(name) if isinstance(found, dict) else None
    return found
