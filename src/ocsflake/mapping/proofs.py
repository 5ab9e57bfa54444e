"""Which attributes need no check in a batch, since a compiled table cannot give them a value that OCSF does not allow.

`ocsflake.mapping.cast` checks each value of the source against its attribute, and what the engine itself fills comes
from the schema. Validation need not look at those again, row for row. Whether what is required is there, constraints
and ``type_uid`` are looked at in every batch all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocsflake.mapping.derive import ObservableRule
    from ocsflake.mapping.plan import EnumPlan, Field
    from ocsflake.ocsf import Attribute, EventClass

__all__ = ["proved", "takes"]

_OTHER_OR_UNKNOWN = frozenset({0, 99})


def proved(
    event_class: EventClass,
    fields: Iterable[Field],
    enums: Iterable[EnumPlan],
    constants: Mapping[str, str | int],
    observables: Iterable[ObservableRule],
) -> frozenset[str]:
    """Return the paths of attributes whose values are right whatever the log holds."""
    found = {line.path for line in fields if _cast_checks(line)}
    for plan in enums:
        if not plan.rule.allowed & _OTHER_OR_UNKNOWN:
            found.discard(plan.path)
        if plan.sibling is not None and "[]" not in plan.path:
            texts = [*plan.rule.captions.values(), "-2147483648"]  # a value without a caption is its own text
            if plan.word is None and all(takes(event_class.attribute(plan.sibling), text) for text in texts):
                found.add(plan.sibling)
    found |= {path for path, value in constants.items() if takes(event_class.attribute(path), value)}
    if event_class.profiles <= event_class.schema.profiles():
        found.add("metadata.profiles")
    return frozenset(found | set(_observed(event_class, list(observables))))


def _cast_checks(line: Field) -> bool:
    """Return whether `cast` refuses all that validation would."""
    attribute = line.attribute
    if attribute.is_array or "[]" in line.path or attribute.type == "datetime_t":
        return False
    return attribute.range is None or attribute.base in ("integer_t", "long_t")


def _observed(event_class: EventClass, rules: list[ObservableRule]) -> Iterator[str]:
    """Yield the members of observables that are right."""
    if not rules:
        return
    members = event_class.attribute("observables").attributes
    for name, values in (
        ("name", [rule.path for rule in rules]),
        ("type", [rule.caption for rule in rules]),
        ("type_id", [rule.type_id for rule in rules]),
    ):
        if all(takes(members[name], value) for value in values):
            yield f"observables[].{name}"
    longest = members["value"].max_len
    lengths = [event_class.attribute(rule.path.replace("[]", "")).max_len for rule in rules]
    if longest is None or all(length is not None and length <= longest for length in lengths):
        yield "observables[].value"


def takes(attribute: Attribute, value: str | int) -> bool:
    """Return whether an attribute may have a value, whatever the log holds."""
    if attribute.enum is not None and str(value) not in map(str, attribute.enum):
        return False
    if isinstance(value, int):
        return attribute.range is None or attribute.range[0] <= value <= attribute.range[1]
    return attribute.max_len is None or len(value) <= attribute.max_len
