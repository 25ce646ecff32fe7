"""Drawing figures: matplotlib on demand, colours, files that never differ."""

from __future__ import annotations

import importlib.util
import io
import math
from typing import TYPE_CHECKING, Literal

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.table import Table
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Drawing

#: Okabe and Ito's colours, distinct with any kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":", "-.")
SVG = "image/svg+xml"
INSTALL = "pip install 'mmgraph[plots]'"


def require_plots() -> None:
    """Refuse to begin without what the figures need.

    Raises:
        UserError: If matplotlib or scikit-learn is not installed.

    Example:
        >>> require_plots()
    """
    for module, name in (("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")):
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"the figures need {name}, which is not installed",
                INSTALL,
            )


def panels(
    count: int, *, width: float = 4.6, height: float = 3.6
) -> tuple[Drawing, list[Axes]]:
    """A drawing with so many axes side by side, at most three in a row.

    It belongs to no window and to no global state of matplotlib. All figures have the
    same colours, a quiet grid, and numbers along the axes that stand alone, without a
    factor or an offset elsewhere.

    Raises:
        UserError: If matplotlib is not installed.

    Example:
        >>> drawing, axes = panels(4)
        >>> len(axes)
        4
    """
    try:
        from cycler import cycler
        from matplotlib.figure import Figure as Drawing
        from matplotlib.ticker import ScalarFormatter
    except ImportError as error:
        raise UserError("figures need matplotlib", INSTALL) from error

    columns = min(count, 3)
    rows = -(-count // columns)
    drawing = Drawing(figsize=(width * columns, height * rows), layout="constrained")
    axes = drawing.subplots(rows, columns, squeeze=False).flatten().tolist()
    for spare in axes[count:]:
        spare.remove()
    for ax in axes[:count]:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_prop_cycle(cycler(color=COLOURS))
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        for axis in (ax.xaxis, ax.yaxis):
            numbers = ScalarFormatter(useOffset=False)
            numbers.set_scientific(False)
            axis.set_major_formatter(numbers)
    return drawing, axes[:count]


def whole_numbers(axis: Axis) -> None:
    """Let an axis have ticks at whole numbers alone, one or more.

    Example:
        >>> _, (axes,) = panels(1)
        >>> _ = axes.set_xlim(1.9, 2.1)
        >>> whole_numbers(axes.xaxis)
        >>> axes.get_xticks().tolist()  # the ends are not seen
        [1.0, 2.0, 3.0]
    """
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def log_scale(axes: Axes, side: Literal["x", "y"]) -> None:
    """Make one side logarithmic, with numbers that can be read however short it is.

    Beside the powers of ten, 2 and 5 times one have ticks unless there are many, and
    all multiples within a single one. To be called when all is drawn.

    Example:
        >>> _, (axes,) = panels(1)
        >>> _ = axes.set_xlim(0.3, 6)
        >>> log_scale(axes, "x")
        >>> axes.get_xticks().tolist()  # the ends are not seen
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set(**{f"{side}scale": "log"})
    axis = axes.xaxis if side == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    multiples = range(1, 10) if decades < 1 else (1, 2, 5) if decades < 3 else (1,)
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def to_svg(drawing: Drawing) -> bytes:
    """The drawing as SVG; the same drawing gives the same bytes.

    Example:
        >>> drawing, _ = panels(1)
        >>> to_svg(drawing) == to_svg(drawing)
        True
    """
    from matplotlib import rc_context

    content = io.BytesIO()
    with rc_context({"svg.hashsalt": "mmgraph"}):
        drawing.savefig(content, format="svg", metadata={"Date": None}, dpi=150)
    return content.getvalue()


def to_figure(drawing: Drawing, caption: str, alt: str, data: Table) -> Figure:
    """The drawing as a figure of a page, with the data behind it.

    Example:
        >>> to_figure(panels(1)[0], "Caption.", "Nothing.", Table(["x"], [])).mime
        'image/svg+xml'
    """
    return Figure(to_svg(drawing), SVG, alt, caption, data)
