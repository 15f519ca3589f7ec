"""What the same rows say of two sets of answers: of two versions, or of a network and its baselines."""
