"""Lists of names and values, such as ``[{"Name": "UserAgent", "Value": "..."}]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import apply

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["first", "named"]


def named(names: Expr, values: Expr, name: str) -> Expr:
    """Return the first value that has a name (in lower case); where it is not alone, all go to ``unmapped`` too."""
    return apply(first, values.only_if(names.lower() == name))


def first(lists: pa.Array) -> pa.Array:
    """Return the first text of each list, null where it has none."""
    if not pa.types.is_list(lists.type):
        return lists
    rows, texts = pc.list_parent_indices(lists), lists.flatten()
    valid = texts.is_valid()
    return texts.filter(valid).take(pc.index_in(pa.array(range(len(lists)), rows.type), value_set=rows.filter(valid)))
