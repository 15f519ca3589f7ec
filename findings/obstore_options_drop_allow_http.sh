#!/usr/bin/env bash
# obstore's `client_options` make it forget that the environment allows HTTP.
#
# A good engineer would expect: AWS_ALLOW_HTTP=true, beside AWS_ENDPOINT_URL, lets obstore reach a store of its own kind
# on http://…, whatever else a call sets; an option that is given takes the place of its own variable alone.
# What happens: with any `client_options`, such as a time-out, AWS_ALLOW_HTTP is not read any more. The endpoint and the
# keys of the environment are; every request to them then ends as "HTTP error: builder error", without a word of HTTP.
# Who meets it: whoever points obstore at MinIO, moto or another store in the house, and then adds a time-out.
# The way out: "allow_http": True among the client_options.
#
# obstore 0.12.1, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   no options: FileNotFoundError; a time-out: builder error; a time-out and allow_http: FileNotFoundError
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check obstore==0.12.1
cat > "$folder/reach.py" <<'PYTHON'
import http.server
import os
import sys
import threading

import obstore
from obstore.store import from_url


class Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {
    "AWS_ALLOW_HTTP": "true",
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
    "AWS_ACCESS_KEY_ID": "name",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
}
ASKED = {
    "no options": {},
    "a time-out": {"client_options": {"timeout": "5s"}},
    "a time-out and allow_http": {"client_options": {"timeout": "5s", "allow_http": True}},
}
found = {}
for name, options in ASKED.items():
    store = from_url("s3://bucket/", retry_config={"max_retries": 0}, **options)
    try:
        obstore.get(store, "key")
    except Exception as error:
        found[name] = "builder error" if "builder error" in str(error) else type(error).__name__
print("; ".join(f"{name}: {outcome}" for name, outcome in found.items()))
sys.exit([*found.values()] != ["FileNotFoundError", "builder error", "FileNotFoundError"])
PYTHON
"$folder/venv/bin/python" "$folder/reach.py"
