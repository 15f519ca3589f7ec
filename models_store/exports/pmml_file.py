"""PMML 4.4: encoders as derived fields, the network as NeuralNetwork, raw columns in, raw answers out.

Members of a network lie side by side in one, and a last layer averages them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations_with_replacement, pairwise
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from models_store.arrays import Encoded
from models_store.bundle import Bundle
from models_store.encoding.dates import CYCLES
from models_store.errors import NotExpressible
from models_store.exports.portable import portable, weights_of
from models_store.exports.stated import stated
from models_store.tables.clock import DAY

NAMESPACE = "http://www.dmg.org/PMML-4_4"
# What XML 1.0 can hold; of the line ends, a reader changes the carriage return in a text.
LEGAL = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
# Of derived fields, so that none is called as a column is.
INNER = "~"
FUNCTIONS = {
    "linear": "identity",
    "relu": "rectifier",
    "tanh": "tanh",
    "sigmoid": "logistic",
    "softsign": "Elliott",
    "softmax": "identity",
}
COMPOSED = ("leaky_relu", "elu", "selu")
LEAKY_SLOPE = float(np.float32(0.2))
# Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", 2017.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
# The name of a neuron, and how much of it counts.
Sum = dict[str, float]


def pmml_file(bundle: Bundle, version: int) -> bytes:
    """Return the document. Raises NotExpressible for texts, and for activations that PMML does not know."""
    pattern = portable(bundle, version)
    _assert_expressible(pattern)
    root = Element("PMML", xmlns=NAMESPACE, version="4.4")
    root.append(_header(pattern))
    root.append(_data_dictionary(pattern))
    root.append(_network(pattern, weights_of(bundle)))
    indent(root, " ")
    written: bytes = tostring(root, "utf-8", xml_declaration=True)
    return written


def names_of(columns: Sequence[str], labels: Sequence[str] | None) -> list[str]:
    """Return the names of the answers: the predicted number of each output, or the probability of each label."""
    if labels is None:
        return [f"predicted_{name}" for name in columns]
    return [f"probability_{label}" for label in labels]


def _assert_expressible(pattern: dict[str, Any]) -> None:
    for column in pattern["inputs"]["columns"]:
        if column["kind"] == "text":
            raise NotExpressible("pmml", f"column {column['name']} is text; export it to python or js")
    for layer in pattern["network"]["layers"]:
        if layer["activation"] not in (*FUNCTIONS, *COMPOSED):
            raise NotExpressible(
                "pmml", f"PMML has no {layer['activation']}; train with relu, elu, tanh or another that it has"
            )
    if "logarithm" in pattern["output"]:
        reason = "its network learned logarithms, of which a Target of PMML has no inverse"
        raise NotExpressible("pmml", f"{reason}; export it to python or onnx, or train with scaling.targets: none")
    columns, output = [column["name"] for column in pattern["inputs"]["columns"]], pattern["output"]
    for name in (*names_of(output["columns"], None), *names_of([], output.get("labels", []))):
        if name in columns:
            raise NotExpressible("pmml", f"column {name} is called as an answer is; train with another name")
    for text in _texts(pattern):
        if not LEGAL.fullmatch(text):
            raise NotExpressible("pmml", f"XML has no way to write {text!r}")


def _texts(pattern: dict[str, Any]) -> Iterator[str]:
    yield from (*pattern["output"]["columns"], *pattern["output"].get("labels", []))
    for column in pattern["inputs"]["columns"]:
        encoder = column.get("encoder", {})
        yield from (column["name"], *encoder.get("values", []), *(encoder.get("means") or []))


def _header(pattern: dict[str, Any]) -> Element:
    header = Element("Header", description=stated(pattern, "").replace("\n", "").strip())
    SubElement(header, "Application", name="Pattern Server")
    return header


# -- fields ------------------------------------------------------------------------------------------------------------

OPTYPES = {"category": ("categorical", "string"), "boolean": ("categorical", "boolean")}


def _data_dictionary(pattern: dict[str, Any]) -> Element:
    dictionary = Element("DataDictionary")
    for column in pattern["inputs"]["columns"]:
        # Whole numbers, too, are double: runtimes read `integer` differently.
        optype, kind = OPTYPES.get(column["kind"], ("continuous", "double"))
        field = SubElement(dictionary, "DataField", name=column["name"], optype=optype, dataType=kind)
        for name, value in column["seen"].items():
            # An Interval would refuse what lies beyond, which the server answers.
            SubElement(field, "Extension", extender="Pattern Server", name=name, value=json.dumps(value))
    optype, kind = _type_of_answers(pattern)
    for name in pattern["output"]["columns"]:
        field = SubElement(dictionary, "DataField", name=name, optype=optype, dataType=kind)
        for label in pattern["output"].get("labels", []):
            SubElement(field, "Value", value=label)
    dictionary.set("numberOfFields", str(len(dictionary)))
    return dictionary


def _mining_schema(pattern: dict[str, Any]) -> Element:
    schema = Element("MiningSchema")
    for column in pattern["inputs"]["columns"]:
        field = SubElement(schema, "MiningField", name=column["name"])
        if column.get("fill") is not None:
            field.set("missingValueReplacement", _written(column))
    for name in pattern["output"]["columns"]:
        SubElement(schema, "MiningField", name=name, usageType="target")
    return schema


def _written(column: dict[str, Any]) -> str:
    fill = column["fill"]
    if column["kind"] == "boolean":
        return "true" if fill else "false"
    return fill if isinstance(fill, str) else repr(float(fill))


def _output(pattern: dict[str, Any]) -> Element:
    output, made = pattern["output"], Element("Output")
    labels = output.get("labels", [])
    optype, kind = _type_of_answers(pattern)
    for target, name in zip(output["columns"], names_of(output["columns"], None), strict=True):
        facts = {"feature": "predictedValue", "targetField": target}
        SubElement(made, "OutputField", name=name, optype=optype, dataType=kind, **facts)
    for label, name in zip(labels, names_of([], labels), strict=True):
        facts = {"feature": "probability", "value": label}
        SubElement(made, "OutputField", name=name, optype="continuous", dataType="double", **facts)
    return made


def _type_of_answers(pattern: dict[str, Any]) -> tuple[str, str]:
    return ("categorical", "string") if "labels" in pattern["output"] else ("continuous", "double")


def _targets(pattern: dict[str, Any]) -> Element:
    targets, output = Element("Targets"), pattern["output"]
    scaler = output["scaler"]
    for name, offset, scale in zip(output["columns"], scaler["offset"], scaler["scale"], strict=True):
        SubElement(targets, "Target", field=name, rescaleFactor=repr(scale), rescaleConstant=repr(offset))
    return targets


# -- expressions -------------------------------------------------------------------------------------------------------


def _field(name: str) -> Element:
    return Element("FieldRef", field=name)


def _constant(value: float) -> Element:
    made = Element("Constant", dataType="double")
    made.text = repr(float(value))
    return made


def _apply(function: str, *given: Element | float) -> Element:
    made = Element("Apply", function=function)
    made.extend(each if isinstance(each, Element) else _constant(each) for each in given)
    return made


def _scaled(value: Element, offset: float, scale: float) -> Element:
    return _apply("/", _apply("-", value, offset), scale)


def _unless_missing(name: str, otherwise: float, value: Element) -> Element:
    return _apply("if", _apply("isMissing", _field(name)), otherwise, value)


class Encoders:
    """The inputs of the network as expressions, and the derived fields that several of them share."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.inputs = inputs
        self.columns: list[dict[str, Any]] = inputs["columns"]
        self.mark = INNER
        while any(column["name"].startswith(self.mark) for column in self.columns):
            self.mark += INNER
        self.derived: list[Element] = []

    def encoded(self) -> Iterator[Element]:
        """Yield an expression for each input of the network, in order."""
        if "degree" in self.inputs:
            yield from self._products()
            return
        for column in self.columns:
            yield from self._column(column)
        for pair in self.inputs["pairs"]:
            yield from self._pair(pair)

    def _shared(self, value: Element) -> Element:
        """Return a reference to a new derived field."""
        field = Element("DerivedField", name=f"{self.mark}{len(self.derived)}", optype="continuous", dataType="double")
        field.append(value)
        self.derived.append(field)
        return _field(field.attrib["name"])

    def _products(self) -> Iterator[Element]:
        places = range(len(self.columns))
        sizes = range(1, self.inputs["degree"] + 1)
        products = (factors for size in sizes for factors in combinations_with_replacement(places, size))
        scaler = self.inputs["scaler"]
        for factors, offset, scale in zip(products, scaler["offset"], scaler["scale"], strict=True):
            first, *others = (_field(self.columns[place]["name"]) for place in factors)
            for other in others:
                first = _apply("*", first, other)
            yield _scaled(first, offset, scale)

    def _column(self, column: dict[str, Any]) -> Iterator[Element]:
        name, encoder = column["name"], column["encoder"]
        match column["kind"]:
            case "category":
                yield from self._category(column)
            case "boolean":
                sign = _apply("-", _apply("*", 2, _indicator(column, "true")), 1)
                yield _unless_missing(name, 0, sign) if encoder["takes_missing"] else sign
                if encoder["takes_missing"]:
                    yield _is_missing(name)
            case "date":
                yield from self._circles(name, encoder["days"], [CYCLES[cycle] for cycle in encoder["cycles"]])
            case "time":
                yield from self._circles(name, encoder["seconds"], [float(DAY)])
            case "duration":
                yield from self._numbers(name, encoder["seconds"])
            case _:
                yield from self._numbers(name, encoder)

    def _filled(self, name: str, encoder: dict[str, Any]) -> Element:
        if not encoder["takes_missing"]:
            return _field(name)
        return self._shared(_unless_missing(name, encoder["median"], _field(name)))

    def _numbers(self, name: str, encoder: dict[str, Any], filled: Element | None = None) -> Iterator[Element]:
        """Yield the scaled number, its pieces, and 1 where it is missing."""
        value = self._filled(name, encoder) if filled is None else filled
        yield _scaled(value, encoder["scaler"]["offset"][0], encoder["scaler"]["scale"][0])
        edges = encoder["edges"]
        for place, (low, high) in enumerate(pairwise(edges)):
            piece = _scaled(value, low, high - low)
            # The first piece goes on below 0, the last one above 1.
            piece = piece if place == len(edges) - 2 else _apply("min", piece, 1)
            yield piece if place == 0 else _apply("max", piece, 0)
        if encoder["takes_missing"]:
            yield _is_missing(name)

    def _circles(self, name: str, encoder: dict[str, Any], lengths: list[float]) -> Iterator[Element]:
        value = self._filled(name, encoder)
        for length in lengths:
            turn = self._shared(_apply("/", _apply("*", value, 2 * np.pi), length))
            yield _circle("sin", turn)
            yield _circle("cos", turn)
        yield from self._numbers(name, encoder, value)

    def _category(self, column: dict[str, Any]) -> Iterator[Element]:
        """Yield an input a value, one for unseen, one for missing, and the mean targets."""
        name, encoder = column["name"], column["encoder"]
        indicators = [self._shared(_indicator(column, value)) for value in encoder["values"]]
        yield from indicators
        missing = self._shared(_is_missing(name))
        unseen = _apply("-", 1, missing)
        for indicator in indicators:
            unseen = _apply("-", unseen, indicator)
        yield unseen
        yield missing
        if means := encoder.get("means"):
            n_means = len(next(iter(means.values())))
            yield from (_mean(name, means, place) for place in range(n_means))

    def _pair(self, pair: dict[str, Any]) -> Iterator[Element]:
        """Yield the position of two columns along some directions of their plane, each encoded as a number is."""
        names = [self.columns[place]["name"] for place in pair["columns"]]
        offsets, scales = pair["scaler"]["offset"], pair["scaler"]["scale"]
        scaled = [
            self._shared(_unless_missing(name, 0, _scaled(_field(name), offset, scale)))
            for name, offset, scale in zip(names, offsets, scales, strict=True)
        ]
        for direction, own in zip(pair["directions"], pair["positions"], strict=True):
            first, second = (_apply("*", each, much) for each, much in zip(scaled, direction, strict=True))
            yield from self._numbers("", own, self._shared(_apply("+", first, second)))


def _indicator(column: dict[str, Any], value: str) -> Element:
    """Return 1 where a category has the value, else 0; nothing where one is missing that may not be."""
    made = Element("NormDiscrete", field=column["name"], value=value)
    if column["takes_missing"]:
        made.set("mapMissingTo", "0")
    return made


def _circle(function: str, turn: Element) -> Element:
    """Return nothing where the value is missing and not filled, of which JPMML's functions of angles complain."""
    return _apply("if", _apply("isNotMissing", turn), _apply(function, turn))


def _is_missing(name: str) -> Element:
    return _apply("if", _apply("isMissing", _field(name)), 1, 0)


def _mean(name: str, means: dict[str, list[float]], place: int) -> Element:
    mapped = Element("MapValues", outputColumn="mean", dataType="double", defaultValue="0", mapMissingTo="0")
    SubElement(mapped, "FieldColumnPair", field=name, column="value")
    table = SubElement(mapped, "InlineTable")
    for value, told in means.items():
        row = SubElement(table, "row")
        SubElement(row, "value").text = value
        SubElement(row, "mean").text = repr(told[place])
    return mapped


# -- the network -------------------------------------------------------------------------------------------------------


def _network(pattern: dict[str, Any], weights: list[Encoded]) -> Element:
    encoders = Encoders(pattern["inputs"])
    inputs = Element("NeuralInputs")
    for place, expression in enumerate(encoders.encoded()):
        given = SubElement(SubElement(inputs, "NeuralInput", id=f"i{place}"), "DerivedField")
        given.attrib |= {"optype": "continuous", "dataType": "double"}
        given.append(expression)
    inputs.set("numberOfInputs", str(len(inputs)))
    neurons = Neurons()
    made = neurons.computed(pattern, weights, len(inputs))
    is_label = "labels" in pattern["output"]
    network = Element(
        "NeuralNetwork",
        functionName="classification" if is_label else "regression",
        activationFunction="identity",
        numberOfLayers=str(len(neurons.layers)),
    )
    network.extend([_mining_schema(pattern), _output(pattern)])
    if not is_label:
        network.append(_targets(pattern))
    if encoders.derived:
        SubElement(network, "LocalTransformations").extend(encoders.derived)
    network.extend([inputs, *neurons.layers, _neural_outputs(pattern["output"], made)])
    return network


def _neural_outputs(output: dict[str, Any], made: list[str]) -> Element:
    outputs = Element("NeuralOutputs", numberOfOutputs=str(len(made)))
    labels = output.get("labels")
    for place, neuron in enumerate(made):
        field = SubElement(SubElement(outputs, "NeuralOutput", outputNeuron=neuron), "DerivedField")
        if labels:
            field.attrib |= {"optype": "categorical", "dataType": "string"}
            SubElement(field, "NormDiscrete", field=output["column"], value=labels[place])
        else:
            field.attrib |= {"optype": "continuous", "dataType": "double"}
            SubElement(field, "FieldRef", field=output["columns"][place])
    return outputs


class Neurons:
    """Layers of neurons; what flows from one to the next are sums of neurons, because some activations are composed."""

    def __init__(self) -> None:
        self.layers: list[Element] = []

    def computed(self, pattern: dict[str, Any], weights: list[Encoded], n_inputs: int) -> list[str]:
        """Append all layers, and return the neurons that answer."""
        members = pattern["network"]["members"]
        stacked = weights if members > 1 else [weight[None] for weight in weights]
        flowing: list[list[Sum]] = [[{f"i{place}": 1.0} for place in range(n_inputs)]] * members
        layers = pattern["network"]["layers"]
        for layer, kernel, bias in zip(layers, stacked[::2], stacked[1::2], strict=True):
            before = [_before(*each) for each in zip(flowing, kernel, bias, strict=True)]
            flowing = self._activated(layer["activation"], before)
        return self._answers(pattern["output"], flowing)

    def _answers(self, output: dict[str, Any], flowing: list[list[Sum]]) -> list[str]:
        share = 1 / len(flowing)
        means = [_added((each, share) for each in of_members) for of_members in zip(*flowing, strict=True)]
        if output.get("is_binary"):
            [mean] = means
            return self._layer("identity", [(1.0, _added([(mean, -1.0)])), (0.0, mean)])
        if all(list(mean.values()) == [1.0] for mean in means):
            return [next(iter(mean)) for mean in means]
        return self._layer("identity", [(0.0, mean) for mean in means])

    def _activated(self, activation: str, before: list[list[tuple[float, Sum]]]) -> list[list[Sum]]:
        """Return what the neurons of each member become: a layer of all members, of softmax one a member."""
        if activation == "softmax":
            return [_alone(self._layer("identity", own, "softmax")) for own in before]
        every = [neuron for own in before for neuron in own]
        return _parted(self._of_all(activation, every), len(before))

    def _of_all(self, activation: str, before: list[tuple[float, Sum]]) -> list[Sum]:
        if activation not in COMPOSED:
            return _alone(self._layer(FUNCTIONS[activation], before))
        above = self._layer("rectifier", before)
        if activation == "leaky_relu":
            below = self._layer("rectifier", [(-bias, _added([(given, -1.0)])) for bias, given in before])
            return _both(above, 1.0, below, -LEAKY_SLOPE)
        # Below 0, exp(x) - 1 is -max(1 - exp(x), 0); above, that is 0.
        risen = self._layer("exponential", before)
        below = self._layer("rectifier", [(1.0, {neuron: -1.0}) for neuron in risen])
        scale, alpha = (SELU_SCALE, SELU_ALPHA) if activation == "selu" else (1.0, 1.0)
        return _both(above, scale, below, -scale * alpha)

    def _layer(self, function: str, before: list[tuple[float, Sum]], normalization: str = "none") -> list[str]:
        """Append a layer of biases and weights, and return the names of its neurons."""
        layer = Element(
            "NeuralLayer",
            numberOfNeurons=str(len(before)),
            activationFunction=function,
            normalizationMethod=normalization,
        )
        names = [f"n{len(self.layers)}-{place}" for place in range(len(before))]
        for name, (bias, given) in zip(names, before, strict=True):
            neuron = SubElement(layer, "Neuron", id=name, bias=repr(float(bias)))
            for source, weight in given.items():
                SubElement(neuron, "Con", {"from": source, "weight": repr(weight)})
        self.layers.append(layer)
        return names


def _before(flowing: list[Sum], kernel: Encoded, bias: Encoded) -> list[tuple[float, Sum]]:
    """Return bias and weighted sum of every unit of one member, before its activation."""
    columns = kernel.astype(np.float64).T
    return [
        (float(own), _added(zip(flowing, column.tolist(), strict=True)))
        for own, column in zip(bias, columns, strict=True)
    ]


def _added(sums: Iterable[tuple[Sum, float]]) -> Sum:
    total: Sum = {}
    for each, factor in sums:
        for neuron, weight in each.items():
            total[neuron] = total.get(neuron, 0.0) + weight * factor
    return total


def _alone(names: list[str]) -> list[Sum]:
    return [{name: 1.0} for name in names]


def _both(first: list[str], much: float, second: list[str], other: float) -> list[Sum]:
    return [{one: much, two: other} for one, two in zip(first, second, strict=True)]


def _parted(sums: list[Sum], parts: int) -> list[list[Sum]]:
    size = len(sums) // parts
    return [sums[place : place + size] for place in range(0, len(sums), size)]
