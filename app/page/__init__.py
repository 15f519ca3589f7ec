"""The page for people: static files, served as they are."""

from pathlib import Path

PAGE = Path(__file__).parent
