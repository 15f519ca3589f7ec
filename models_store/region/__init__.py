"""Where the training rows of a version were, and how far another row is from there."""
