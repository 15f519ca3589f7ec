"""TensorFlow Serving's REST API, version 1, and KServe's first protocol."""
