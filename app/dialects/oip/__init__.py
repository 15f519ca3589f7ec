"""The Open Inference Protocol, version 2, as Triton, KServe and MLServer speak it."""
