"""Numbers as people read them: with the digits that their interval leaves certain."""

import math

_MOST_DIGITS = 10
_DIGITS = 4


def number_text(value: float | None, digits: int = _DIGITS) -> str:
    """So many digits; – where there is no number.

    Args:
        value: Any number, also inf.
        digits: Significant digits.
    """
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def certain_digits(estimate: float, low: float, high: float) -> int:
    """Significant digits of an estimate, of which the last two are those of the width of its interval.

    Args:
        estimate: Between the ends.
        low: Lower end of the interval.
        high: Upper end.
    """
    if not (0 < high - low < math.inf and math.isfinite(estimate)):
        return _DIGITS + 1
    largest = max(abs(estimate), abs(low), abs(high))
    digits = math.floor(math.log10(largest)) - math.floor(math.log10(high - low)) + 2
    return min(max(digits, 2), _MOST_DIGITS)


def interval_text(estimate: float, low: float, high: float) -> tuple[str, str]:
    """An estimate, and "low to high", with as many digits as are certain; – for an interval that is not finite.

    Args:
        estimate: Between the ends.
        low: Lower end of the interval.
        high: Upper end.
    """
    digits = certain_digits(estimate, low, high)
    shown = [_plain(value, digits) for value in (estimate, low, high)]
    return shown[0], f"{shown[1]} to {shown[2]}" if math.isfinite(low) and math.isfinite(high) else "–"


def _plain(value: float, digits: int) -> str:
    """With trailing zeros, which are certain, but no lonely point."""
    return f"{value:#.{digits}g}".removesuffix(".")
