"""Wire formats: each turns bytes into rows for a bundle, and a bundle's answers into bytes."""
