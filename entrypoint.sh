#!/bin/sh
# The entry point of the image: runs `patterns` with the given arguments, or `patterns serve` without any. The server
# listens on PATTERNS_PORT, else on Vertex AI's AIP_HTTP_PORT, else on 8080 if the argument is `serve`, as SageMaker
# gives it, else on 8000.
if [ -z "${PATTERNS_PORT:-}${AIP_HTTP_PORT:-}" ] && [ "${1:-}" = serve ]; then
  export PATTERNS_PORT=8080
fi
[ "$#" -gt 0 ] || set -- serve
# exec, so that signals reach the server and not a shell.
exec patterns "$@"
