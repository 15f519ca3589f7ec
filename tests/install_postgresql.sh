#!/bin/sh
# Installs a PostgreSQL server for the tests of job records, which start it in a temporary directory. Does so only where
# there is none, for root, with apt-get; elsewhere it says that those tests are skipped. Never fails.
has_server() {
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null
}

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql >/dev/null 2>&1
}

if has_server; then
  exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing PostgreSQL for the tests of job records"
  # The lists of packages may be missing or old.
  install || { apt-get update -qq >/dev/null 2>&1; install; }
fi
has_server || echo "PostgreSQL is not installed, and its tests are skipped; install your system's package postgresql to run them"
