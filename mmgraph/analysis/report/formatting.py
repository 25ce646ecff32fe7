"""Numbers as the texts of a report, all in one format."""

from __future__ import annotations

from collections.abc import Sequence

from mmgraph.analysis.statistics.intervals import Interval


def decimals(value: float | None) -> str:
    """Four decimals; nothing for None.

    Example:
        >>> decimals(0.12345), decimals(-0.5), decimals(None)
        ('0.1235', '-0.5000', '')
    """
    return "" if value is None else f"{value:.4f}"


def spread_text(mean: float, sd: float | None) -> str:
    """A mean with its standard deviation; alone where that is None.

    Example:
        >>> spread_text(0.0754, None), spread_text(0.1, 0.002)
        ('0.0754', '0.1000 ± 0.0020')
    """
    return decimals(mean) if sd is None else f"{decimals(mean)} ± {decimals(sd)}"


def change_text(ratio: float | None) -> str:
    """A relative change in per cent, with its sign; nothing for None.

    Example:
        >>> change_text(-0.024), change_text(None)
        ('-2.4 %', '')
    """
    return "" if ratio is None else f"{100 * ratio:+.1f} %"


def interval_text(ends: Interval | None) -> str:
    """Both ends of an interval; nothing for None.

    Example:
        >>> interval_text(Interval(0.08, 0.0912))
        '0.0800 to 0.0912'
    """
    return "" if ends is None else f"{decimals(ends.low)} to {decimals(ends.high)}"


def signed_interval_text(ends: Interval | None) -> str:
    """Both ends of an interval of differences; nothing for None.

    Example:
        >>> signed_interval_text(Interval(-0.0012, 0.0034))
        '-0.0012 to +0.0034'
    """
    return "" if ends is None else f"{ends.low:+.4f} to {ends.high:+.4f}"


def signed_series_text(values: Sequence[float] | None) -> str:
    """Differences one after the other; nothing for None.

    Example:
        >>> signed_series_text([-0.0012, 0.0034]), signed_series_text(None)
        ('-0.0012, +0.0034', '')
    """
    return ", ".join(f"{value:+.4f}" for value in values or ())


def starred_text(difference: float, p_value: float) -> str:
    """A difference, with a star where its p-value is below .05.

    Example:
        >>> starred_text(0.0123, 0.01), starred_text(-0.0123, 0.2)
        ('+0.0123 *', '-0.0123')
    """
    return f"{difference:+.4f} *" if p_value < 0.05 else f"{difference:+.4f}"


def p_value_text(p: float) -> str:
    """A p-value, exact only where that says something.

    Example:
        >>> p_value_text(0.0004), p_value_text(0.0521)
        ('< 0.001', '0.052')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def bytes_text(count: float) -> str:
    """A number of bytes in the unit that leaves it between 1 and 1,000.

    Example:
        >>> bytes_text(912), bytes_text(521_019_392), bytes_text(1.25e10)
        ('912 bytes', '521 MB', '12.5 GB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5:  # three digits: 999.6 would be shown as 1e+03
            return f"{count:.3g} {unit}"
    return f"{count:.0f} TB"
