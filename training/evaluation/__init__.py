"""The evaluation of a trained network: scores, baselines, and the notes on its card."""
