"""What may become of rows outside what training saw, as it is asked for; imports nothing heavy."""

from typing import Literal

Way = Literal["warn", "clip", "reject", "formula"]
# Others that may be said: what the recipe has, else `warn`; and nothing, whatever the recipe has.
Switch = Literal["true", "false"]
# One list, so that a refusal names all that may be said.
Said = Literal[Way, Switch]

# What a refusal says before the ways that are not `reject`, to those who write the address of a request themselves.
TO_ASK = "ask with outside="
# And to those whose protocol has no place for it.
TO_ASK_ELSEWHERE = "ask POST /predict/{}, since the recipe refuses them, with outside="


def settled(own: Way | None, *, is_sure: bool) -> Way | None:
    """Return what becomes of rows outside, where `own` is what recipe or request has.

    `is_sure` where answers have intervals or sets: these are around the network's answer, so that a formula gives way,
    and rows outside are named at least.
    """
    return "warn" if is_sure and own in (None, "formula") else own
