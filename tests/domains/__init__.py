"""A domain for every row of the table of derivatives: calls of the function at which it is differentiable."""

from typing import Any

from . import elementwise, indexing, linalg, products, ranges, reductions, shape, special
from .basics import Domain

DOMAINS: dict[Any, Domain] = {
    **elementwise.DOMAINS,
    **indexing.DOMAINS,
    **linalg.DOMAINS,
    **products.DOMAINS,
    **ranges.DOMAINS,
    **reductions.DOMAINS,
    **shape.DOMAINS,
    **special.DOMAINS,
}
