"""How fast it is, as ratios: ours and a ceiling or peer in the same run, on the same machine, one after another."""
