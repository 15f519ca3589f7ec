#!/bin/sh
# Writes the modules of messages anew from the *.proto files of this folder: `make protos`. Their descriptors go into
# the pool of this folder, their imports name this package, and their mappings have types.
set -eu
cd "$(dirname "$0")"
"$1" -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. ./*.proto
sed -i -E \
  -e 's/^import (tensorflow\w*_pb2) as /from app.protos import \1 as /' \
  -e 's/_descriptor_pool\.Default\(\)/POOL/' \
  -e 's/^from google\.protobuf import descriptor_pool as _descriptor_pool$/from app.protos.pool import POOL/' \
  -e 's/_Mapping\]/_Mapping[str, object]]/g' \
  ./*_pb2.py ./*_pb2.pyi
