#!/bin/sh
# Makes .runtimes/NAME, an environment of what tests/NAME.lock lists, which only some tests need. Does so only where it is
# missing or differs from its lock file. Where it cannot be made, those tests are skipped. Never fails.
#
#   install_environment.sh pmml "JPMML, PMML4S and Java"
cd "$(dirname "$0")/.." || exit 0
uv=${UV:-.venv/bin/uv}
lock=tests/$1.lock
folder=.runtimes/$1
if cmp -s "$lock" "$folder/made-of.lock"; then
  exit 0
fi
echo "installing $2 for tests"
"$uv" venv --quiet --clear "$folder" &&
  "$uv" pip install --quiet --python "$folder" --require-hashes -r "$lock" &&
  cp "$lock" "$folder/made-of.lock" ||
  echo "not installed, and the tests that need it are skipped: $2"
