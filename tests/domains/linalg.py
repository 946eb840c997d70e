"""Domains of linear algebra."""

from typing import Any

from .basics import Domain

DOMAINS: dict[Any, Domain] = {}
