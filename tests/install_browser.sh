#!/bin/sh
# Installs Chromium for the tests of the page. Does so only where there is none, for root, with apt-get; elsewhere it
# says that those tests are skipped. Never fails.
has_browser() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null 2>&1
}

if has_browser; then
  exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing Chromium for the tests of the page"
  # The lists of packages may be missing or old.
  install || { apt-get update -qq >/dev/null 2>&1; install; }
fi
has_browser || echo "Chromium is not installed, and the tests of the page are skipped; install your system's package chromium to run them"
