"""C: one C99 file that allocates nothing and needs libm alone; compiled with -DPATTERN_MAIN it is a program.

All names and texts of a pattern become octal escapes or plain identifiers: none of them can become code.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from models_store.arrays import Encoded
from models_store.bundle import Bundle
from models_store.encoding.dates import CYCLES
from models_store.errors import NotExpressible
from models_store.exports.portable import portable, weights_of
from models_store.exports.stated import stated

PLAIN = re.compile(rb"[A-Za-z0-9 _.,:;=()-]")
KEYWORDS = frozenset(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "linux",
        "unix",
        "i386",
        "stdin",
        "stdout",
        "stderr",
        "errno",
        "asm",
        "typeof",
        "bool",
        "true",
        "false",
        "nullptr",
        "constexpr",
        "alignas",
        "alignof",
        "thread_local",
    ]
)
# Functions of C under other names than those of Keras.
NAMES = {"tanh": "hyperbolic_tangent"}
CATEGORY_BYTES = 4 * 200 + 1


def c_file(bundle: Bundle, version: int) -> bytes:
    """Return the file. Raises NotExpressible for columns of texts."""
    pattern = portable(bundle, version)
    for column in pattern["inputs"]["columns"]:
        if column["kind"] == "text":
            raise NotExpressible("c", f"column {column['name']} is text, whose words need the tables of Unicode")
    written = "\n".join([*_Writer(pattern, weights_of(bundle)).lines(), ""])
    return written.encode()


def literal(text: str) -> str:
    """Return a string literal of C: what is no plain letter, digit or mark is an octal escape."""
    each = (bytes([byte]) for byte in text.encode())
    return '"' + "".join(one.decode() if PLAIN.match(one) else f"\\{one[0]:03o}" for one in each) + '"'


def identifiers(names: Iterable[str]) -> list[str]:
    """Return a different member name for each name."""
    found: list[str] = []
    for name in names:
        plain = re.sub("[^A-Za-z0-9_]", "_", name).strip("_") or "column"
        plain = plain.lower() if plain.isupper() else plain
        plain = f"column_{plain}" if plain[0].isdigit() or plain in KEYWORDS else plain
        tried, number = plain, 2
        while tried in found:
            tried, number = f"{plain}_{number}", number + 1
        found.append(tried)
    return found


class _Writer:
    """The lines of one file."""

    def __init__(self, pattern: dict[str, Any], weights: list[Encoded]) -> None:
        self.pattern = pattern
        self.columns: list[dict[str, Any]] = pattern["inputs"]["columns"]
        self.members = identifiers(column["name"] for column in self.columns)
        self.layers: list[dict[str, Any]] = pattern["network"]["layers"]
        self.weights = weights
        self.name = pattern["pattern"].replace("-", "_")
        self.is_float32 = pattern["network"]["dtype"] == "float32"
        self.is_table = "degree" not in pattern["inputs"]
        self.kinds = {column["kind"] for column in self.columns} if self.is_table else set()
        self.parts = _parts()

    def lines(self) -> Iterator[str]:
        yield "/*\n" + stated(self.pattern, " *").rstrip() + "\n */"
        yield "#include <math.h>\n#include <stddef.h>\n#include <string.h>\n"
        yield from self._row()
        yield from self._names()
        yield from self._weights()
        yield from self._helpers()
        yield from self._predict()
        yield "#ifdef PATTERN_MAIN"
        yield from self._program()
        yield "#endif"

    # -- what users see ------------------------------------------------------------------------------------------------

    def _row(self) -> Iterator[str]:
        yield "/* Raw values of a row. A missing number is NAN, a missing text NULL. */"
        yield f"struct {self.name}_row {{"
        for column, member in zip(self.columns, self.members, strict=True):
            declared = f"const char *{member};" if column["kind"] == "category" else f"double {member};"
            yield f"    {declared} /* {MEANT[column['kind']]}{_range(column['seen'])} */"
        yield "};\n"

    def _names(self) -> Iterator[str]:
        output = self.pattern["output"]
        said = output.get("labels", output["columns"])
        yield f"/* {'The probability of each label' if 'labels' in output else 'A number each'}, in order. */"
        yield f"enum {{ {self.name.upper()}_ANSWERS = {len(said)} }};"
        yield f"const char *const {self.name}_answers[] = {{{', '.join(map(literal, said))}}};\n"
        yield "/* Returns 0; 1 where a value is too large or an answer is not finite; 2 where one is missing that was"
        yield "   never missing in training. */"
        yield f"int predict(const struct {self.name}_row *row, double *answers);\n"

    # -- numbers -------------------------------------------------------------------------------------------------------

    def _weights(self) -> Iterator[str]:
        yield f"typedef {'float' if self.is_float32 else 'double'} WEIGHT;"
        for place, (kernel, bias) in enumerate(zip(self.weights[::2], self.weights[1::2], strict=True)):
            yield from self._array(f"static const WEIGHT kernel_{place}[]", kernel)
            yield from self._array(f"static const WEIGHT bias_{place}[]", bias)
        for place, column in enumerate(self.columns):
            encoder = column.get("encoder", {})
            if column["kind"] == "category":
                yield from _lines(
                    f"static const char *const values_{place}[]", [*map(literal, encoder["values"]), "NULL"]
                )
                if means := encoder.get("means"):
                    yield from _lines(f"static const char *const told_{place}[]", [*map(literal, means)])
                    numbers = [repr(mean) for of_value in means.values() for mean in of_value]
                    yield from _lines(f"static const double means_{place}[]", numbers)
            elif edges := _numbers_of(encoder).get("edges"):
                yield from _lines(f"static const double edges_{place}[]", [*map(repr, edges)])
        for number, pair in enumerate(self.pattern["inputs"].get("pairs", [])):
            for place, own in enumerate(pair["positions"]):
                if own["edges"]:
                    yield from _lines(f"static const double edges_{number}_{place}[]", [*map(repr, own["edges"])])
        yield ""

    def _array(self, declared: str, weight: Encoded) -> Iterator[str]:
        end = "f" if self.is_float32 else ""
        yield from _lines(declared, [f"{number!s}{end}" for number in weight.ravel()])

    def _helpers(self) -> Iterator[str]:
        activations = {layer["activation"] for layer in self.layers}
        puts = {
            "put_number": self.kinds & {"number", "date", "time", "duration"},
            "along": self.pattern["inputs"].get("pairs"),
            "put_boolean": self.kinds & {"boolean"},
            "put_turn": self.kinds & {"date", "time"},
            "put_category": self.kinds & {"category"},
            "put_means": any(column.get("encoder", {}).get("means") for column in self.columns),
        }
        yield self.parts["dense"]
        yield from (self.parts[name] for name in sorted(activations))
        yield from (self.parts[name] for name, needed in puts.items() if needed)

    # -- predict -------------------------------------------------------------------------------------------------------

    def _predict(self) -> Iterator[str]:
        network = self.pattern["network"]
        widest = max(layer["units"] for layer in self.layers)
        last = self.layers[-1]["units"]
        yield f"int predict(const struct {self.name}_row *row, double *answers)\n{{"
        yield f"    double encoded[{network['n_inputs']}], one[{widest}], other[{widest}], outputs[{last}] = {{0}};"
        yield "    double *to = encoded;\n    int i, member;"
        yield from (self._table() if self.is_table else self._products())
        rounded = "(double)(float)encoded[i]" if self.is_float32 else "encoded[i]"
        yield f"    for (i = 0; i < (int)(to - encoded); i++) {{\n        encoded[i] = {rounded};"
        yield "        if (!isfinite(encoded[i]))\n            return 1;\n    }"
        yield f"    for (member = 0; member < {network['members']}; member++) {{"
        yield from self._layers()
        yield "    }"
        yield f"    for (i = 0; i < {last}; i++)\n        outputs[i] /= {network['members']};"
        yield from self._decoded()
        yield "    return 0;\n}\n"

    def _layers(self) -> Iterator[str]:
        given, width, made = "encoded", self.pattern["network"]["n_inputs"], ("one", "other")
        for place, layer in enumerate(self.layers):
            units, to = layer["units"], made[place % 2]
            kernel, bias = f"kernel_{place} + member * {width * units}", f"bias_{place} + member * {units}"
            yield f"        dense({given}, {width}, {kernel}, {bias}, {to}, {units});"
            yield f"        {NAMES.get(layer['activation'], layer['activation'])}({to}, {units});"
            given, width = to, units
        yield f"        for (i = 0; i < {width}; i++)\n            outputs[i] += {given}[i];"
        if len(self.layers) == 1:
            yield "        (void)other;"

    def _decoded(self) -> Iterator[str]:
        output, n = self.pattern["output"], self.layers[-1]["units"]
        if "labels" not in output:
            scale, offset = output["scaler"]["scale"], output["scaler"]["offset"]
            yield from (f"    answers[{i}] = outputs[{i}] * {scale[i]!r} + {offset[i]!r};" for i in range(n))
            yield from self._exponential()
        elif output["is_binary"]:
            yield "    answers[0] = 1 - outputs[0];\n    answers[1] = outputs[0];"
        else:
            yield f"    answers[0] = {' + '.join(f'outputs[{i}]' for i in range(n))};"
            yield f"    for (i = {n - 1}; i >= 0; i--)\n        answers[i] = outputs[i] / answers[0];"
        n_answers = len(output.get("labels", output["columns"]))
        yield f"    for (i = 0; i < {n_answers}; i++)\n        if (!isfinite(answers[i]))\n            return 1;"

    def _exponential(self) -> Iterator[str]:
        """Make raw numbers of logarithms, between 0 and the highest that the pattern answers."""
        logarithm = self.pattern["output"].get("logarithm")
        for i, (shift, highest) in enumerate(zip(*logarithm.values(), strict=True) if logarithm else ()):
            bound = f"{float(np.log(highest + shift))!r}"
            yield f"    answers[{i}] = exp(answers[{i}] > {bound} ? {bound} : answers[{i}]) - {shift!r};"
            yield f"    answers[{i}] = answers[{i}] < 0 ? 0 : answers[{i}] > {highest!r} ? {highest!r} : answers[{i}];"

    def _products(self) -> Iterator[str]:
        inputs = self.pattern["inputs"]
        places = range(len(self.columns))
        sizes = range(1, inputs["degree"] + 1)
        products = [factors for size in sizes for factors in combinations_with_replacement(places, size)]
        scaler = zip(products, inputs["scaler"]["offset"], inputs["scaler"]["scale"], strict=True)
        for factors, offset, scale in scaler:
            product = " * ".join(f"row->{self.members[factor]}" for factor in factors)
            yield f"    *to++ = ({product} - {_signed(offset)}) / {_signed(scale)};"

    def _table(self) -> Iterator[str]:
        values: list[str] = []
        for place, (column, member) in enumerate(zip(self.columns, self.members, strict=True)):
            is_missing = f"row->{member} == NULL" if column["kind"] == "category" else f"isnan(row->{member})"
            value = f"row->{member}"
            if not column["takes_missing"]:
                yield f"    if ({is_missing})\n        return 2;"
            if column["fill"] is not None:
                fill = column["fill"]
                value = f"({is_missing} ? {literal(fill) if isinstance(fill, str) else _signed(fill)} : {value})"
            yield from _put(column, place, value)
            values.append(value)
        for number, pair in enumerate(self.pattern["inputs"]["pairs"]):
            yield from _put_pair(pair, number, [values[place] for place in pair["columns"]])

    # -- the program ---------------------------------------------------------------------------------------------------

    def _program(self) -> Iterator[str]:
        output = self.pattern["output"]
        labels = output.get("labels", [])
        likely = [f"{output['column']}={label}" for label in labels] if labels else []
        names = [*output["columns"], *likely]
        missing = [column.get("takes_missing", False) for column in self.columns]
        constants = {
            "N_COLUMNS": len(self.columns),
            "N_OUTPUTS": len(output["columns"]),
            "N_WRITTEN_NAMES": len(names),
            "N_ANSWERS": len(labels or output["columns"]),
            "LABELS": int(bool(labels)),
            "LONGEST_RECORD": max(1 << 16, 1000 * len(self.columns)),
            "MOST_FIELDS": 2 * len(self.columns) + 1000,
            "MOST_BYTES_OF_CATEGORY": CATEGORY_BYTES,
        }
        yield "#include <ctype.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
        yield f"#define ROW {self.name}_row"
        yield "enum {\n" + ",\n".join(f"    {name} = {value}" for name, value in constants.items()) + "\n};"
        yield from _lines("static const char *const columns[]", [literal(column["name"]) for column in self.columns])
        yield from _lines("static const char *const ignored[]", [*map(literal, self.pattern["ignored"]), "NULL"])
        yield from _lines("static const int may_be_missing[]", [str(int(may)) for may in missing])
        yield from _lines("static const char *const written_names[]", [literal(_field(name)) for name in names])
        yield from _lines(
            "static const char *const written[]", [literal(_field(name)) for name in output.get("written", [""])]
        )
        yield from self._words()
        yield self.parts["program"]
        yield from (self.parts[name] for name in self._readers())
        yield from self._cells()
        yield self.parts["main"].rstrip()

    def _words(self) -> Iterator[str]:
        if not self.is_table:
            return
        spelling = self.pattern["inputs"]["spelling"]
        words = {"missing": spelling["missing"]}
        if any(column["is_ordered"] for column in self.columns):
            words["nothing"] = spelling["nothing"]
        if "boolean" in self.kinds:
            words |= {"true": spelling["true"], "false": spelling["false"]}
        for name, some in words.items():
            yield from _lines(f"static const char *const words_of_{name}[]", [*map(literal, some), "NULL"])

    def _readers(self) -> Iterator[str]:
        if self.kinds & {"number", "category"} or not self.is_table:
            yield "number_syntax"
        if "number" in self.kinds or not self.is_table:
            yield "numbers"
        if any(column["kind"] == "number" and column.get("missing_cells") for column in self.columns):
            yield "missing_numbers"
        if "boolean" in self.kinds:
            yield "booleans"
        if "category" in self.kinds:
            yield "categories"
        clock = {"date": "dates", "time": "times", "duration": "durations"}
        if self.kinds & clock.keys():
            yield "clock"
        yield from (part for kind, part in clock.items() if kind in self.kinds)

    def _cells(self) -> Iterator[str]:
        yield "/* Read the cells of a row. Returns 0, or -1 after a failure. */"
        yield "static int read_cells(char **cells, struct ROW *row)\n{\n    int problem;"
        for place, (column, member) in enumerate(zip(self.columns, self.members, strict=True)):
            yield from self._cell(place, column, member)
        yield "    return 0;\n}\n"

    def _cell(self, place: int, column: dict[str, Any], member: str) -> Iterator[str]:
        kind, cell, name = column["kind"], f"cells[{place}]", f"columns[{place}]"
        wanted = literal(f"expected {MEANT[kind]}") if kind != "number" else '"expected a number"'
        if self.is_table:
            nothing = f" || is_among({cell}, words_of_nothing)" if column["is_ordered"] else ""
            found = [float(cell) for cell in column["missing_cells"]] if kind in ORDERED else []
            missing = f"is_among({cell}, words_of_missing){nothing}"
            if kind == "number" and found:
                yield f"    static const double missing_{place}[] = {{{', '.join(map(_c_number, found))}}};"
                missing += f" || is_missing_number({cell}, missing_{place}, {len(found)})"
            yield f"    problem = {missing};"
            yield f"    if (problem)\n        row->{member} = {'NULL' if kind == 'category' else 'NAN'};\n    else {{"
        else:
            yield "    {"
        yield from (f"        {line}" for line in _read(kind, place, column, member))
        yield f"        if (problem)\n            return fail(problem == 2 ? {NOT_FINITE} : {wanted}, {name});\n    }}"
        if self.is_table and not column["takes_missing"]:
            is_missing = f"row->{member} == NULL" if kind == "category" else f"isnan(row->{member})"
            yield f"    if ({is_missing})\n        return fail({NO_VALUE}, {name});"


NOT_FINITE, NO_VALUE = '"expected a finite number"', '"found no value, and training saw none missing"'
MEANT = {
    "number": "a number",
    "boolean": "0 or 1",
    "category": "a category of at most 200 characters",
    "date": "days since 1970-01-01, written as 2024-05-31 or 2024-05-31T18:00",
    "time": "seconds since midnight, written as 13:31 or 13:31:05",
    "duration": "seconds, written as 85:00:00 or 3 days 13:00:00",
}
ORDERED = ("number", "date", "time", "duration")


def _read(kind: str, place: int, column: dict[str, Any], member: str) -> Iterator[str]:
    """Yield the lines that parse a cell into its member, and set `problem`."""
    if kind == "category":
        yield f"problem = characters_in(cells[{place}]) > 200;"
        yield f"if (!problem)\n            write_category(texts[{place}], cells[{place}]);"
        yield f"row->{member} = texts[{place}];"
        if column["missing_cells"]:
            words = ", ".join(literal(word) for word in column["missing_cells"])
            yield f"static const char *const missing_{place}[] = {{{words}, NULL}};"
            yield f"if (is_among(row->{member}, missing_{place}))\n            row->{member} = NULL;"
        return
    yield f"problem = read_{kind}(cells[{place}], &row->{member});"
    if kind != "number":
        for cell in column.get("missing_cells", []):
            yield f"if (!problem && row->{member} == {_signed(float(cell))})\n            row->{member} = NAN;"


def _put(column: dict[str, Any], place: int, value: str) -> Iterator[str]:
    encoder = column["encoder"]
    match column["kind"]:
        case "category":
            yield f"    to = put_category(to, {value}, values_{place}, {len(encoder['values'])});"
            if means := encoder.get("means"):
                n_means = len(next(iter(means.values())))
                yield f"    to = put_means(to, {value}, told_{place}, {len(means)}, means_{place}, {n_means});"
            return
        case "boolean":
            yield f"    to = put_boolean(to, {value}, {int(encoder['takes_missing'])});"
            return
        case "date":
            lengths = [CYCLES[cycle] for cycle in encoder["cycles"]]
        case "time":
            lengths = [86400.0]
        case _:
            lengths = []
    numbers = _numbers_of(encoder)
    median, edges = _signed(numbers["median"]), numbers["edges"]
    yield from (f"    to = put_turn(to, {value}, {median}, {length!r});" for length in lengths)
    scaler = numbers["scaler"]
    scaled = f"{_signed(scaler['offset'][0])}, {_signed(scaler['scale'][0])}"
    pieces = f"edges_{place}, {len(edges)}" if edges else "NULL, 0"
    yield f"    to = put_number(to, {value}, {int(numbers['takes_missing'])}, {median}, {scaled}, {pieces});"


def _put_pair(pair: dict[str, Any], number: int, values: list[str]) -> Iterator[str]:
    offsets, scales = pair["scaler"]["offset"], pair["scaler"]["scale"]
    scaled = [
        f"({value} - {_signed(offset)}) / {_signed(scale)}"
        for value, offset, scale in zip(values, offsets, scales, strict=True)
    ]
    for place, (direction, own) in enumerate(zip(pair["directions"], pair["positions"], strict=True)):
        position = f"along({', '.join([*scaled, *map(_signed, direction)])})"
        pieces = f"edges_{number}_{place}, {len(own['edges'])}" if own["edges"] else "NULL, 0"
        scaler = f"{_signed(own['scaler']['offset'][0])}, {_signed(own['scaler']['scale'][0])}"
        missing = int(own["takes_missing"])
        yield f"    to = put_number(to, {position}, {missing}, {_signed(own['median'])}, {scaler}, {pieces});"


def _numbers_of(encoder: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = encoder.get("days") or encoder.get("seconds") or encoder
    return found


def _lines(declared: str, values: list[str], width: int = 110) -> Iterator[str]:
    """Yield an array, many values a line."""
    yield f"{declared} = {{"
    line = "   "
    for value in values:
        if len(line) + len(value) > width and line.strip():
            yield line
            line = "   "
        line += f" {value},"
    yield line
    yield "};"


def _signed(number: float) -> str:
    """Return a number that may stand behind a minus."""
    return f"({_c_number(number)})" if number < 0 else _c_number(number)


def _c_number(number: float) -> str:
    if np.isinf(number):
        return "HUGE_VAL" if number > 0 else "-HUGE_VAL"
    return repr(float(number))


def _range(seen: dict[str, Any]) -> str:
    if "minimum" not in seen:
        return ""
    return re.sub("[^A-Za-z0-9 .:,+-]", "_", f", {seen['minimum']} to {seen['maximum']} in training")


def _field(text: str) -> str:
    """Return a text as a field of a CSV line."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerow([text, ""])
    return written.getvalue()[:-3]


def _parts() -> dict[str, str]:
    """Return the parts of parts.c, by name."""
    text = files("models_store.exports").joinpath("parts.c").read_text("utf-8")
    found = re.split(r"^//// (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))
