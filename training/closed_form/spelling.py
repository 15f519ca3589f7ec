"""How closed forms are spelled: short numbers, terms in the order in which people write them.

(0.3, x1) (-2, sin(x2)) and 4   ->   0.3*x1 - 2*sin(x2) + 4
"""

import re
from collections.abc import Iterable
from fractions import Fraction

from training.closed_form.terms import Factor, Term

# Spellings of up to so many characters are short.
SHORT = 12
LARGEST_DENOMINATOR, LARGEST = 1000, 1e9
SUM = re.compile(r"\((\w+) ([+-]) (\w+)\)")
# Factors above and below the line.
Named = tuple[list[str], list[str]]


def sum_text(intercept: float, terms: list[tuple[float, Term]]) -> str:
    """Return the sum of coefficients times terms, and of the intercept: high powers first, no sign before the first."""
    single = sorted(summands(terms), key=lambda each: _place(each[1]))
    parts = [(number, _factors(term)) for number, term in single]
    parts = [(number, factors) for number, factors in [*parts, (intercept, ([], []))] if number != 0]
    if not parts:
        return "0"
    # A sum begins with what is added.
    first, factors = parts.pop(next((place for place, (number, _) in enumerate(parts) if number > 0), 0))
    text = ("-" if first < 0 else "") + _multiple(abs(first), factors)
    return text + "".join(f" {'-' if number < 0 else '+'} {_multiple(abs(number), named)}" for number, named in parts)


def summands(terms: Iterable[tuple[float, Term]]) -> list[tuple[float, Term]]:
    """Return the terms that count, those of (x1 + x2) one by one."""
    single = []
    for number, term in terms:
        names = SUM.fullmatch(term.powers[0][0].pattern) if len(term.powers) == 1 and term.powers[0][1] == 1 else None
        if names is None:
            single.append((number, term))
        else:
            one, sign, other = names.groups()
            single += [(number, Term.of((Factor(one), 1))), (float(f"{sign}1") * number, Term.of((Factor(other), 1)))]
    return [(number, term) for number, term in single if number != 0]


def signed(number: float) -> str:
    """Return what is to be added: ` + 3`, ` - 0.5`, and nothing for 0."""
    return "" if number == 0 else f" {'-' if number < 0 else '+'} {spelled(abs(number))}"


def spelled(number: float) -> str:
    """Return the shortest spelling of a number that is above 0: `3`, `0.25`, `1/3`, `1/4.2`, or all of its digits."""
    return _divided(*_fraction(number))


def _place(term: Term) -> tuple[int, bool, bool, str]:
    """Inputs by their degree, then functions."""
    plain = [(factor, power) for factor, power in term.powers if factor.pattern.isidentifier()]
    degree = sum(power for _, power in plain if power > 0)
    return (
        -degree,
        len(plain) < len(term.powers),
        any(power < 0 for _, power in term.powers),
        _multiple(1, _factors(term)),
    )


def _multiple(number: float, factors: Named) -> str:
    over, under = (one + other for one, other in zip(_fraction(number), factors, strict=True))
    return _divided([each for each in over if each != "1"] or ["1"], under)


def _fraction(number: float) -> Named:
    """Return what stands above and below the line, nothing below where a decimal is short, or nothing else is."""
    decimal = _decimal(number)
    if len(decimal) <= SHORT or not 1 / LARGEST < number < LARGEST:
        return [decimal], []
    fraction = Fraction(number).limit_denominator(LARGEST_DENOMINATOR)
    inverse = _decimal(float(f"{1 / number:.{SHORT}g}"))
    named = [
        ([str(fraction.numerator)], [str(fraction.denominator)]) if float(fraction) == number else ([decimal], []),
        (["1"], [inverse]) if 1 / float(inverse) == number and len(inverse) < SHORT else ([decimal], []),
    ]
    return min(named, key=lambda each: len(_divided(*each).removeprefix("1/")))


def _decimal(number: float) -> str:
    return str(int(number)) if number < 1e15 and number == int(number) else repr(number)


def _divided(over: list[str], under: list[str]) -> str:
    below = under[0] if len(under) == 1 else f"({'*'.join(under)})"
    return "*".join(over) + (f"/{below}" if under else "")


def _factors(term: Term) -> Named:
    """Return the factors above and below the line."""
    above = [_power(factor.text(_inside(factor.constant)), power) for factor, power in term.powers if power > 0]
    below = [_power(factor.text(_inside(factor.constant)), -power) for factor, power in term.powers if power < 0]
    return above, below


def _inside(constant: float | None) -> str | None:
    if constant is None:
        return None
    text = spelled(abs(constant))
    text = f"({text})" if "/" in text else text
    return f"-{text}" if constant < 0 else text


def _power(text: str, power: int) -> str:
    if power == 1:
        return text
    return f"({text})**{power}" if "**" in text or ("/" in text and not text.endswith(")")) else f"{text}**{power}"
