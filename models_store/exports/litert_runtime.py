"""Run as a program: makes a LiteRT model of a pattern, or lets LiteRT answer rows with one.

`litert_runtime.py write` reads a pattern as JSON and writes the model. `litert_runtime.py answer` reads a line of JSON,
`{"shape": [n_rows, n_columns]}`, rows as little-endian float32 and the model, and writes answers, float32.

It stands alone, because TensorFlow takes seconds to import and stays: a server would have to keep it.
"""

import base64
import json
import os
import sys
from importlib.util import find_spec
from itertools import combinations_with_replacement
from math import pi
from typing import Any

import numpy as np

# The GPU is for trainings.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
# Days.
CYCLES = {"day": 1.0, "week": 7.0, "year": 365.2425}
SECONDS_OF_A_DAY = 86400.0
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
LEAKY_SLOPE = 0.2
LARGEST = float(np.finfo(np.float32).max)


def main() -> None:
    _silence()
    if sys.argv[1] == "write":
        sys.stdout.buffer.write(written(json.load(sys.stdin)))
        return
    head, _, rest = sys.stdin.buffer.read().partition(b"\n")
    n_rows, n_columns = json.loads(head)["shape"]
    n_bytes = 4 * n_rows * n_columns
    rows = np.frombuffer(rest[:n_bytes], "<f4").reshape(n_rows, n_columns)
    sys.stdout.buffer.write(answered(rest[n_bytes:], rows).astype("<f4").tobytes())


def _silence() -> None:
    """Leave standard error to the last word of an exception: TensorFlow writes lines of its own to it."""
    sys.stderr = os.fdopen(os.dup(2), "w")
    sys.excepthook = lambda kind, error, _: sys.exit(f"{kind.__name__}: {error}")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def answered(model: bytes, rows: Any) -> Any:
    run = _interpreter()(model_content=model, num_threads=1).get_signature_runner()
    [answers] = run(row=rows).values()
    return answers


def _interpreter() -> Any:
    """Return the class that runs models: of LiteRT, or the one that TensorFlow ships."""
    if find_spec("ai_edge_litert") is None:
        import tensorflow as tf

        return tf.lite.Interpreter
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter


def written(pattern: dict[str, Any]) -> bytes:
    import tensorflow as tf

    model = tf.Module()
    model.answer = tf.function(
        lambda row: {"answer": Graph(tf, pattern).answers(row)},
        input_signature=[tf.TensorSpec((None, len(pattern["inputs"]["columns"])), tf.float32, "row")],
        autograph=False,
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([model.answer.get_concrete_function()], model)
    converted: bytes = converter.convert()
    return converted


class Graph:
    """The operators between a raw row and its answer, all in float32."""

    def __init__(self, tf: Any, pattern: dict[str, Any]) -> None:
        self.tf = tf
        self.inputs, self.network, self.output = pattern["inputs"], pattern["network"], pattern["output"]

    def answers(self, row: Any) -> Any:
        """Return the answers (n_rows, n_answers) to rows (n_rows, n_columns); NaN to those that the server refuses."""
        tf, encoded = self.tf, self._encoded(row)
        answers = self._decoded(self._computed(encoded))
        good = [tf.reduce_all(tf.abs(values) <= LARGEST, axis=1, keepdims=True) for values in (encoded, answers)]
        return tf.where(tf.logical_and(*good), answers, np.float32(np.nan))

    # -- columns -------------------------------------------------------------------------------------------------------

    def _encoded(self, row: Any) -> Any:
        columns = self.inputs["columns"]
        values = [row[:, place : place + 1] for place in range(len(columns))]
        if "degree" in self.inputs:
            return self._scaled(self._monomials(values), self.inputs["scaler"])
        encoded = [
            self._where_missing(value, column["missing"], self._column(value, column))
            for value, column in zip(values, columns, strict=True)
        ]
        of_pairs = [self._pair([values[place] for place in pair["columns"]], pair) for pair in self.inputs["pairs"]]
        return self.tf.concat([*encoded, *of_pairs], axis=1)

    def _monomials(self, values: list[Any]) -> Any:
        made = []
        for size in range(1, self.inputs["degree"] + 1):
            for first, *others in combinations_with_replacement(range(len(values)), size):
                product = values[first]
                for place in others:
                    product = product * values[place]
                made.append(product)
        return self.tf.concat(made, axis=1)

    def _where_missing(self, value: Any, inputs: list[float | None], encoded: Any) -> Any:
        """Return the inputs of a missing value for the rows where one is missing; None, where none may be, is NaN."""
        return self.tf.where(self.tf.math.is_nan(value), np.array(inputs, np.float32), encoded)

    def _scaled(self, value: Any, scaler: dict[str, Any]) -> Any:
        return self._beyond(value, np.array(scaler["offset"])) / np.array(scaler["scale"], np.float32)

    def _beyond(self, value: Any, start: Any) -> Any:
        """Return how far values are beyond numbers, in two steps: a float32 alone would round the numbers."""
        near = start.astype(np.float32)
        return (value - near) - (start - near).astype(np.float32)

    def _column(self, value: Any, column: dict[str, Any]) -> Any:
        encoder = column["encoder"]
        match column["kind"]:
            case "category":
                return self._category(value, column["table"])
            case "boolean":
                return self._boolean(value, encoder)
            case "date":
                lengths = [CYCLES[cycle] for cycle in encoder["cycles"]]
                return self._circles_and_number(value, encoder["days"], lengths)
            case "time":
                return self._circles_and_number(value, encoder["seconds"], [SECONDS_OF_A_DAY])
            case "duration":
                return self._number(value, encoder["seconds"])
        return self._number(value, encoder)

    def _number(self, value: Any, encoder: dict[str, Any]) -> Any:
        tf, edges = self.tf, np.array(encoder["edges"])
        parts = [self._scaled(value, encoder["scaler"])]
        if len(edges) > 1:
            risen = self._beyond(value, edges[:-1]) / np.diff(edges).astype(np.float32)
            # The first piece goes on below 0, the last one above 1.
            below, above = np.zeros(len(edges) - 1, np.float32), np.ones(len(edges) - 1, np.float32)
            below[0], above[-1] = -LARGEST, LARGEST
            parts.append(tf.minimum(tf.maximum(risen, below), above))
        return self._known(tf.concat(parts, axis=1), encoder)

    def _known(self, encoded: Any, encoder: dict[str, Any]) -> Any:
        """Append the input that says that a value is missing, of one that is not."""
        return self.tf.pad(encoded, [[0, 0], [0, 1]]) if encoder["takes_missing"] else encoded

    def _circles_and_number(self, value: Any, encoder: dict[str, Any], lengths: list[float]) -> Any:
        turns = [2 * pi * self._rest(value, length) / np.float32(length) for length in lengths]
        circles = [curve(turn) for turn in turns for curve in (self.tf.sin, self.tf.cos)]
        return self.tf.concat([*circles, self._number(value, encoder)], axis=1)

    def _rest(self, value: Any, length: float) -> Any:
        """Return what is left of values after whole turns; as quotients, they would have few digits for it."""
        near = np.float32(length)
        n_turns = self.tf.floor(value / near)
        return self.tf.math.floormod(value, near) - n_turns * np.float32(length - near)

    def _boolean(self, value: Any, encoder: dict[str, Any]) -> Any:
        return self._known(2 * value - 1, encoder)

    def _category(self, code: Any, table: list[list[float]]) -> Any:
        """Return the row of a code in the table, of which the last is for unknown codes."""
        tf, n_known = self.tf, len(table) - 1
        place = tf.cast(tf.clip_by_value(code, -1.0, n_known), tf.int32)
        is_known = tf.equal(tf.cast(place, tf.float32), code) & (place >= 0)
        return tf.gather(np.array(table, np.float32), tf.where(is_known, place, n_known)[:, 0])

    def _pair(self, values: list[Any], pair: dict[str, Any]) -> Any:
        raw = self.tf.concat(values, axis=1)
        scaled = self._where_missing(raw, pair["missing"], self._scaled(raw, pair["scaler"]))
        positions = self.tf.matmul(scaled, np.array(pair["directions"], np.float32).T)
        each = enumerate(pair["positions"])
        return self.tf.concat([self._number(positions[:, at : at + 1], own) for at, own in each], axis=1)

    # -- the network and its answers -----------------------------------------------------------------------------------

    def _computed(self, flowing: Any) -> Any:
        members, width = self.network["members"], self.network["n_inputs"]
        flowing = flowing[None]
        for layer in self.network["layers"]:
            units = layer["units"]
            kernel, bias = (self._unpacked(layer[name]) for name in ("kernel", "bias"))
            product = self.tf.matmul(flowing, kernel.reshape(members, width, units))
            flowing = self._activated(layer["activation"], product + bias.reshape(members, 1, units))
            width = units
        return self.tf.reduce_mean(flowing, axis=0)

    def _unpacked(self, packed: str) -> Any:
        kind = "<f4" if self.network["dtype"] == "float32" else "<f8"
        return np.frombuffer(base64.b64decode(packed), kind).astype(np.float32)

    def _activated(self, name: str, x: Any) -> Any:
        tf = self.tf
        match name:
            case "linear":
                return x
            case "silu":
                return x * tf.sigmoid(x)
            case "leaky_relu":
                return tf.nn.leaky_relu(x, LEAKY_SLOPE)
            case "selu":
                return SELU_SCALE * (tf.nn.relu(x) + SELU_ALPHA * tf.nn.elu(tf.minimum(x, 0.0)))
            case "softplus":
                return tf.nn.relu(x) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))
            case "softsign":
                return x / (1.0 + tf.abs(x))
            case "gelu":
                return tf.nn.gelu(x, approximate=False)
        return getattr(tf.nn, name)(x)

    def _exponential(self, found: Any, logarithm: dict[str, Any]) -> Any:
        """Return raw numbers of logarithms, between 0 and the highest that the pattern answers."""
        shift, highest = np.array(logarithm["shift"]), np.array(logarithm["highest"])
        most = np.minimum(highest, LARGEST).astype(np.float32)
        raw = self.tf.exp(self.tf.minimum(found, np.log(most + shift).astype(np.float32))) - shift.astype(np.float32)
        return self.tf.clip_by_value(raw, np.zeros_like(most), most)

    def _decoded(self, outputs: Any) -> Any:
        output = self.output
        if "labels" not in output:
            scale, offset = (np.array(output["scaler"][name], np.float32) for name in ("scale", "offset"))
            found = outputs * scale + offset
            return self._exponential(found, output["logarithm"]) if "logarithm" in output else found
        if output["is_binary"]:
            return self.tf.concat([1.0 - outputs, outputs], axis=1)
        return outputs / self.tf.reduce_sum(outputs, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
