"""The recipe of a training, free of Keras: the same in YAML, in JSON, and inside the bundle."""
