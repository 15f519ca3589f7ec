#!/usr/bin/env bash
# To sympy, a float that is a whole number equals no integer, and -1.0 is not -1.
#
# A good engineer would expect: Float(-1.0) == -1, as -1.0 == -1 in Python and as Float(-1.0) == -1.0 in sympy, so that
# `if coefficient == -1` finds the terms to be spelled "-x", and a sum of numbers may be compared with 0 or 1.
# What happens: Float(-1.0) == -1 is False, and so is Float(0.0) == 0, while Float(-1.0) == -1.0, Integer(-1) == -1 and
# -1 == -1.0 are True, and Float(-1.0) - (-1) == 0 is True, because such a difference is the integer 0. Nothing warns.
# Who meets it: whoever reads coefficients out of expressions with floats, as fitted formulas are.
# The way out: compare float(coefficient), or coefficient - 1 with 0.
#
# sympy 1.14.0, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   Float(-1.0) == -1: False; == -1.0: True; Integer(-1) == -1: True; difference == 0: True; 2*x - 3.0*x has a factor -1: False
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check sympy==1.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from sympy import Float, Integer, Symbol

number, x = Float(-1.0), Symbol("x")
found = {
    "Float(-1.0) == -1": number == -1,
    "== -1.0": number == -1.0,
    "Integer(-1) == -1": Integer(-1) == -1,
    "difference == 0": number - (-1) == 0,
    "2*x - 3.0*x has a factor -1": (2 * x - 3.0 * x).as_coeff_Mul()[0] == -1,
}
print("; ".join(f"{name}: {outcome}" for name, outcome in found.items()))
sys.exit([*found.values()] != [False, True, True, True, False])
PYTHON
