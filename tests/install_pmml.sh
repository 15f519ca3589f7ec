#!/bin/sh
# Makes .runtimes/pmml, an environment with the two runtimes of PMML and a Java of their own, which tests try exports
# with. Only where it is missing or differs from its lock file; elsewhere those tests are skipped. Never fails.
cd "$(dirname "$0")/.." || exit 0
uv=${UV:-.venv/bin/uv}
lock=tests/pmml.lock
folder=.runtimes/pmml
if cmp -s "$lock" "$folder/made-of.lock"; then
  exit 0
fi
echo "installing JPMML, PMML4S and Java for the tests of exports"
"$uv" venv --quiet --clear "$folder" &&
  "$uv" pip install --quiet --python "$folder" --require-hashes -r "$lock" &&
  cp "$lock" "$folder/made-of.lock" ||
  echo "not installed, and their tests of exports are skipped: JPMML, PMML4S"
