"""What is checked of an option, and how it is said."""

__all__ = ["LARGEST", "ConfigError", "check", "check_numbers"]

LARGEST = 2**31 - 1  # what MindSpore's counts can hold


class ConfigError(Exception):
    """What is wrong with the options, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


def check(section: object, key: str, valid: bool, remedy: str) -> None:
    """Refuse the value of an option that is not `valid`."""
    if not valid:
        value = getattr(section, key)
        shown = list(value) if isinstance(value, tuple) else value  # as a user writes it
        raise ConfigError(f"{key}={shown} is out of range: {remedy}")


def check_numbers(section: object, remedy: str, *keys: str, low: float = 0.0, high: float = LARGEST) -> None:
    """Refuse a number outside [low, high], and with it one that is infinite or not a number."""
    for key in keys:
        value = getattr(section, key)
        check(section, key, value is None or low <= value <= high, remedy)
