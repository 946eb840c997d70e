"""The figures that the plots are drawn on: imported when one is drawn, as it needs matplotlib."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from .markup import fitted

__all__ = ["Plot"]


class Plot(Figure):
    """A figure that shows itself in Jupyter, also where matplotlib's own way of doing so is off.

    It is off until pyplot has drawn something, or `%matplotlib inline` was called.
    """

    def _repr_svg_(self) -> str | None:
        from .plots import save

        ipython: Any = sys.modules.get("IPython")  # whoever asks for this has imported it
        shell = ipython and ipython.get_ipython()
        if shell and Figure in shell.display_formatter.formatters["image/png"].type_printers:
            return None  # it is on, and need not be shown twice
        save(self, file := BytesIO(), "svg")
        return fitted(file.getvalue().decode())
