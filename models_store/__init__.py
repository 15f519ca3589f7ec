"""What a trained pattern *is*: its network, its scaling, its card, and the directory that keeps them together."""
