"""Rows of a formula, a table or a well-known data set, split into train, validation and test."""
