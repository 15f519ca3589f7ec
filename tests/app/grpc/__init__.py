"""Tests of the gRPC port, over real connections."""
