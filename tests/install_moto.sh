#!/bin/sh
# Makes .runtimes/moto, an environment with moto, which answers like S3 and which tests of shared stores start. Only
# where it is missing or differs from its lock file; elsewhere those tests are skipped. Never fails.
cd "$(dirname "$0")/.." || exit 0
uv=${UV:-.venv/bin/uv}
lock=tests/moto.lock
folder=.runtimes/moto
if cmp -s "$lock" "$folder/made-of.lock"; then
  exit 0
fi
echo "installing moto for the tests of shared stores"
"$uv" venv --quiet --clear "$folder" &&
  "$uv" pip install --quiet --python "$folder" --require-hashes -r "$lock" &&
  cp "$lock" "$folder/made-of.lock" ||
  echo "not installed, and the tests of shared stores are skipped: moto"
