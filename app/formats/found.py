"""Words for what a request holds where something else was expected: kind and size, never the value."""


def kind_of(value: object) -> str:
    """Return the JSON kind of a value: "a number", "text", "a boolean", "null", "a list of 3", "an object"."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text" if value.strip() else "empty text"
        case list():
            return f"a list of {len(value)}"
    return "an object"
