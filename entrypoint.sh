#!/bin/sh
# What the image starts: `patterns` with what is given, and `patterns serve` where nothing is. It listens on
# PATTERNS_PORT, or where Vertex AI says; else on 8080 if a platform says `serve`, as SageMaker does, and on 8000.
if [ -z "${PATTERNS_PORT:-}${AIP_HTTP_PORT:-}" ] && [ "${1:-}" = serve ]; then
  export PATTERNS_PORT=8080
fi
[ "$#" -gt 0 ] || set -- serve
# No shell stays between: signals reach the server.
exec patterns "$@"
