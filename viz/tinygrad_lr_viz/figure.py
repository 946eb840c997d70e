"""The figures that the plots are drawn on: imported when one is drawn, as it needs matplotlib."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

__all__ = ["Plot"]


class Plot(Figure):
    """A figure that shows itself in Jupyter, also where matplotlib's own way of doing so is off.

    It is off until pyplot has drawn something, or `%matplotlib inline` was called.
    """

    def _repr_svg_(self) -> str:
        from .plots import save

        save(self, file := BytesIO(), "svg")
        return file.getvalue().decode()
