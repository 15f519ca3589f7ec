"""An encoder of columns of texts."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import BundleDamaged
from models_store.tables.table import Values, column_of
from models_store.tables.words import Terms, is_word, terms_of, words_of

FEWEST_OF_A_WORD = 2
Weighting = Literal["multi-hot", "tf-idf"]


def n_words(values: Values, most: int) -> int:
    """Return how many words an encoder would learn of these rows, objects (n_rows,), counted up to `most`."""
    rows_with, found = Counter[str](), 0
    for text in values:
        rows_with.update(words := set(words_of(text or "")))
        found += sum(rows_with[word] == FEWEST_OF_A_WORD for word in words)
        if found >= most:
            return most
    return found


def inverse_frequencies(rows_with: Array, n_rows: int) -> Array:
    """Return ln((1 + n_rows) / (1 + rows_with)) + 1 of each word, float64 (n_words,)."""
    weights: Array = np.log((1 + n_rows) / (1 + rows_with)) + 1
    return weights


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A column of texts: one input a term, which is a word, or how words begin, alone or in pairs (`terms_of`).

    multi-hot: 1 where the term occurs. tf-idf: the count of the term times its weight, rows scaled to length 1 (Salton
    and Buckley, 1988); the weight is ln((1 + n_rows) / (1 + n_rows_with_it)) + 1.
    """

    words: tuple[str, ...]
    weights: Array
    weighting: Weighting
    takes_missing: bool
    terms: Terms = "words"
    """What `words` are; files of earlier releases say nothing of it, and have words alone."""
    kind: Literal["text"] = "text"

    @classmethod
    def fit(
        cls,
        values: Values,
        most_words: int = 10_000,
        weighting: Weighting = "multi-hot",
        terms: Terms = "words",
    ) -> Self:
        """Learn from training rows, objects (n_rows,): str, or None where missing. The most frequent terms are kept."""
        rows_with = Counter(term for text in values if text is not None for term in set(terms_of(text, terms)))
        frequent = sorted(
            (word for word, count in rows_with.items() if count >= FEWEST_OF_A_WORD),
            key=lambda word: (-rows_with[word], word),
        )[:most_words]
        counts = np.array([rows_with[word] for word in frequent], dtype=np.float64)
        weights = inverse_frequencies(counts, len(values)) if weighting == "tf-idf" else np.ones(len(frequent))
        return cls(tuple(frequent), weights, weighting, any(text is None for text in values), terms)

    @property
    def width(self) -> int:
        return len(self.words)

    def encode(self, values: Values) -> Array:
        """Return float32 (n_rows, width); a missing text has no words."""
        encoded = np.zeros((len(values), self.width), dtype=np.float32)
        places = self._places
        for row, text in enumerate(values):
            found = [places[term] for term in terms_of(text or "", self.terms) if term in places]
            if self.weighting == "tf-idf":
                np.add.at(encoded[row], found, self.weights[found].astype(np.float32))
                encoded[row] /= np.linalg.norm(encoded[row]) or 1.0
            else:
                encoded[row, found] = 1.0
        return encoded  # type: ignore[return-value]  # float32: words are many, and an input needs no more digits

    def decode(self, encoded: Array) -> Values:
        """Return the known words of each row, each once, in order of frequency: objects (n_rows,)."""
        known = [[self.words[place] for place in np.flatnonzero(row)] for row in encoded]
        return column_of("text", [" ".join(filter(is_word, terms)) for terms in known])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for texts without one known term."""
        known, terms = self._places.keys(), self.terms
        return np.array([text is not None and known.isdisjoint(terms_of(text, terms)) for text in values], dtype=bool)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The input of each term; made once, because there are thousands of them, and a request may hold one row."""
        return {word: place for place, word in enumerate(self.words)}

    def to_dict(self) -> dict[str, Any]:
        saved = {
            "kind": self.kind,
            "words": list(self.words),
            "weights": self.weights.tolist(),
            "weighting": self.weighting,
            "takes_missing": self.takes_missing,
        }
        # Files of words alone are those of earlier releases.
        return saved if self.terms == "words" else saved | {"terms": self.terms}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where words and weights do not match, or the weighting or the terms are unknown."""
        words, weights = tuple(saved["words"]), np.asarray(saved["weights"], dtype=np.float64)
        if len(set(words)) != len(words) or not all(isinstance(word, str) for word in words):
            raise BundleDamaged("text encoder: words must be texts, none of them twice")
        if weights.shape != (len(words),) or not np.isfinite(weights).all():
            raise BundleDamaged(f"text encoder: weights must be {len(words)} finite numbers, one a word")
        if saved["weighting"] not in get_args(Weighting):
            raise BundleDamaged(f"text encoder: weighting must be one of {', '.join(get_args(Weighting))}")
        terms = saved.get("terms", "words")
        if terms not in get_args(Terms):
            raise BundleDamaged(f"text encoder: terms must be one of {', '.join(get_args(Terms))}")
        return cls(words, weights, saved["weighting"], bool(saved["takes_missing"]), terms)
