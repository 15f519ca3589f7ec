"""Closed forms: a formula that answers as the rows do, found by sparse regression over a library of terms."""
