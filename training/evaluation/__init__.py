"""How good a trained network is: scores, baselines, and the notes on its card."""
