#!/usr/bin/env bash
# Optuna's GridSampler makes `Study.tell` raise an error for the last trial of a grid, although it has taken the result.
#
# A good engineer would expect: a loop of `ask` and `tell` works with every sampler, as the documentation of the two
# says; the sampler says that the grid is finished by a return value, or `ask` does.
# What happens: GridSampler stops the study itself once it has been told the last point. Outside `optimize` that raises
# "`Study.stop` is supposed to be invoked inside an objective function or a callback." from `tell`. The trial is
# complete all the same, and a caller who takes the error for a failed trial runs it again, or loses its result.
# Who meets it: whoever runs trials elsewhere (a pool, a queue, a cluster) and lets Optuna only choose them.
#
# optuna 5.0.0, Python 3.11, Linux x86_64. Seen on 2026-11-28, twice:
#   tell 0: none; tell 1: none; tell 2: RuntimeError; trials complete: 3
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check optuna==5.0.0
cat > "$folder/tell.py" <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
GRID = {"units": [8, 16, 32]}
study = optuna.create_study(sampler=optuna.samplers.GridSampler(GRID, seed=0))
raised = []
for _ in GRID["units"]:
    trial = study.ask()
    units = trial.suggest_categorical("units", GRID["units"])
    try:
        study.tell(trial, 1 / units)
        raised.append("none")
    except RuntimeError as error:
        raised.append(type(error).__name__)
complete = sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)
outcome = [f"tell {number}: {name}" for number, name in enumerate(raised)]
print("; ".join([*outcome, f"trials complete: {complete}"]))
sys.exit(raised != ["none", "none", "RuntimeError"] or complete != 3)
PYTHON
"$folder/venv/bin/python" "$folder/tell.py"
