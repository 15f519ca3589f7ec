#!/bin/sh
# Builds the image with docker, buildah or podman, whichever is there: build_image.sh --tag pattern-server .
set -eu
works() { command -v "$1" > /dev/null && "$1" info > /dev/null 2>&1; }

# The format of Docker, because that of OCI has no health check.
if works docker; then
  exec docker build "$@"
elif works buildah; then
  exec buildah build --layers --format docker --isolation chroot "$@"
elif works podman; then
  exec podman build --format docker "$@"
fi
echo "an image is built by docker, podman or buildah, and none of them is here or works" >&2
exit 1
