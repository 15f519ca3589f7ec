"""Training: from a recipe to a bundle, in a process of its own."""
