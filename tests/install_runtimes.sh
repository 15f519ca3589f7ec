#!/bin/sh
# Installs what tests run exports with: node, gcc and clang. Does so only where they are missing, for root, with apt-get;
# elsewhere it says that those tests are skipped. Never fails.
missing() {
  for program in node gcc clang; do
    command -v $program >/dev/null || echo $program
  done
}

install() {
  packages=$(missing | sed 's/^node$/nodejs/; s/^gcc$/gcc libc6-dev/')
  # Word splitting is meant: each is a package.
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1
}

if [ -z "$(missing)" ]; then
  exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing $(missing | tr '\n' ' ')for the tests of exports"
  # The lists of packages may be missing or old.
  install || { apt-get update -qq >/dev/null 2>&1; install; }
fi
[ -z "$(missing)" ] || echo "not installed, and their tests of exports are skipped: $(missing | tr '\n' ' ')"
