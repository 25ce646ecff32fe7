"""Options that must lie in a range, refused by name."""

from __future__ import annotations


def check_above_zero(**options: float) -> None:
    """Refuse options such as temperatures that are not above 0.

    Raises:
        ValueError: If an option is not above 0, or no number.

    Example:
        >>> check_above_zero(temperature=0.2)
        >>> check_above_zero(temperature=0.0)
        Traceback (most recent call last):
        ...
        ValueError: 'temperature' must be above 0 (got 0.0)
    """
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"'{name}' must be above 0 (got {value})")


def check_share(**options: float) -> None:
    """Refuse fractions of which nothing would be left, such as a dropout of 1.

    Raises:
        ValueError: If an option is not in [0, 1).

    Example:
        >>> check_share(dropout=0.0)
        >>> check_share(dropout=1.0)
        Traceback (most recent call last):
        ...
        ValueError: 'dropout' must lie in [0, 1) (got 1.0)
    """
    for name, value in options.items():
        if not 0.0 <= value < 1.0:
            raise ValueError(f"'{name}' must lie in [0, 1) (got {value})")


def check_at_least(least: float, **options: float) -> None:
    """Refuse options such as counts that are below the least value.

    Raises:
        ValueError: If an option is below ``least``.

    Example:
        >>> check_at_least(1, num_layers=1)
        >>> check_at_least(1, num_layers=0)
        Traceback (most recent call last):
        ...
        ValueError: 'num_layers' must be at least 1 (got 0)
    """
    for name, value in options.items():
        if not value >= least:
            raise ValueError(f"'{name}' must be at least {least} (got {value})")
