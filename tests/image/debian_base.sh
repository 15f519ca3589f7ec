#!/bin/sh
# Makes a base image of Debian's packages, for machines that reach no registry of images: debian_base.sh NAME
# Takes root, debootstrap, and podman or buildah. pip's settings and the certificates of this machine go with it, as its
# network may need them; so the image is for tests.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$root" > /dev/null
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale
cp /etc/ssl/certs/ca-certificates.crt "$root"/etc/ssl/certs/
[ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root"/etc/
printf '%s\n' 'FROM scratch' 'COPY . /' > "$root".dockerfile
$(command -v buildah || command -v podman) build --quiet --format docker --file "$root".dockerfile --tag "$1" "$root"
rm "$root".dockerfile
