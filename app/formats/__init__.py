"""Formats of bodies, by media type: each reads bytes into rows, and writes a reply as bytes."""
