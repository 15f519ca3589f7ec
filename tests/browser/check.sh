#!/bin/sh
# Checks types (TypeScript) and format (Prettier) of the page's scripts; with --write it formats them instead. Installs
# both beside this script, as package-lock.json has them. Without Node.js it says so, and that is all.
set -e
cd "$(dirname "$0")"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "Node.js and npm are not installed, and the page's scripts are not checked"
  exit 0
fi
INSTALLED=node_modules/.package-lock.json
if [ ! -e $INSTALLED ] || [ package-lock.json -nt $INSTALLED ]; then
  npm ci --silent --ignore-scripts --no-audit --no-fund
  touch $INSTALLED
fi
format() {
  npx prettier --print-width 120 --log-level warn "$1" "../../app/page/**/*.{js,html}"
}
if [ "$1" = --write ]; then
  format --write
else
  npx tsc --project .
  format --check
fi
