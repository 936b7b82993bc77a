"""The case of letters."""


def snake_case(name: str) -> str:
    """``CamelCase`` as ``camel_case``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def title_case(text: str) -> str:
    """A text with the first letter of each word in upper case."""
    return text.title()
