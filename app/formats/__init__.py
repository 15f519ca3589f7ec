"""Media types of bodies: each format reads bytes into rows, and writes a reply as bytes."""
