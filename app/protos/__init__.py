"""The messages of the gRPC protocols. `*_pb2` are generated from the `*.proto` beside them, by `make protos`."""
