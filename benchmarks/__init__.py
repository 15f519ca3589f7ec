"""How fast it is, as ratios: ours beside a ceiling, what one writes by hand, and peers, alternating in the same run."""
