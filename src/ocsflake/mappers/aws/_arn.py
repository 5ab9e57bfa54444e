"""What an Amazon Resource Name (``arn:partition:service:region:account:resource``) says of its resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["account_of", "region_of"]


def account_of(arn: Expr) -> Expr:
    """Return the account of a resource; null where an ARN has none, or what is given is no ARN."""
    return arn.extract(r"^arn:[^:]+:[^:]+:[^:]*:([0-9]{12}):")


def region_of(arn: Expr) -> Expr:
    """Return the Region of a resource; null where an ARN has none, or what is given is no ARN."""
    return arn.extract(r"^arn:[^:]+:[^:]+:([a-z0-9-]+):")
