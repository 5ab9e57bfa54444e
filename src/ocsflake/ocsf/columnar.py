"""Validate Arrow columns against an event class: compiled once for a schema, then kernels only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.errors import SchemaError
from ocsflake.ocsf._scalars import Found, Place, as_int64, sample, scalar_check, wrong_type
from ocsflake.ocsf.report import make_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ocsflake.ocsf._scalars import Check
    from ocsflake.ocsf.report import Report
    from ocsflake.ocsf.schema import Attribute, EventClass

    # Looks at a struct together with its children, whose nulls include the struct's own.
    GroupCheck = Callable[[pa.StructArray, list[pa.Array], Place, Found], None]

__all__ = ["compile_validator"]

_OTHER = 99


def compile_validator(
    event_class: EventClass, schema: pa.Schema, *, warnings: bool = True, proved: frozenset[str] = frozenset()
) -> Callable[[pa.RecordBatch], Report]:
    """Return a function that validates record batches of `schema` against `event_class`.

    A null is an absent attribute; a null in a list is a value of the wrong type. An attribute that is required must
    be there where its object is, and an empty struct is an object that is there.

    Errors: ``attribute_unknown``, ``attribute_required_missing``, ``attribute_wrong_type``,
    ``attribute_enum_value_unknown``, ``attribute_enum_array_value_unknown``, ``attribute_value_exceeds_range``,
    ``attribute_value_exceeds_max_len``, ``constraint_failed`` (dotted names in constraints are paths),
    ``type_uid_incorrect`` (it is ``class_uid * 100 + activity_id``), ``profile_unknown``.
    Warnings: ``attribute_value_regex_not_matched``, ``attribute_enum_sibling_missing`` (99, Other, without the
    source's own word beside it), ``version_incorrect`` (``metadata.version`` is not the class's version).
    The names are the OCSF server's, and so is the judgement that a regular expression only warns.

    Columns of other types than `arrow_schema` gives are judged by what they can hold: any integer type, or floats
    with whole numbers, for integers; timestamps or text for ``datetime_t``; a map or a struct for a free object;
    anything for ``json_t``; dictionary-encoded values for any scalar.

    Args:
        event_class: The class, with its profiles applied.
        schema: The schema of the batches.
        warnings: Whether to look for warnings; they cost more than errors do.
        proved: Paths whose values, where they are there, are known to be right.

    Raises:
        SchemaError: From the returned function, if a batch has another schema.
    """
    compiler = _Compiler(event_class, warnings, _special_checks(event_class, warnings=warnings), proved)
    root = compiler.struct(event_class.attributes, event_class.constraints, schema, "")

    def validate_batch(batch: pa.RecordBatch) -> Report:
        if not batch.schema.equals(schema):
            raise SchemaError(
                f"this validator of {event_class.name} was compiled for another schema; compile one for this"
                f" batch (columns: {', '.join(batch.schema.names)})"
            )
        found = Found()
        root(batch.to_struct_array(), Place(), found)
        return make_report(batch.num_rows, found.findings)

    return validate_batch


@frozen(eq=False)
class _Compiler:
    event_class: EventClass
    warnings: bool
    special: Mapping[str, Check]
    proved: frozenset[str]

    def struct(
        self,
        attributes: Mapping[str, Attribute],
        constraints: Mapping[str, tuple[str, ...]],
        fields: Iterable[pa.Field],
        prefix: str,
    ) -> Check:
        """Return the check of a struct: each child by itself, then those that concern several of them."""
        columns = {column.name: (position, column.type) for position, column in enumerate(fields)}
        children: list[tuple[int, Check]] = []
        for name, (position, kind) in columns.items():
            attribute = attributes.get(name)
            path = prefix + name
            check = self.attribute(attribute, kind, path) if attribute else self.unknown(path)
            children += [(position, each) for each in (check, self.special.get(path)) if each is not None]
        groups = _required_checks(attributes, columns, prefix)
        groups += _constraint_checks(constraints, columns, prefix)
        if self.warnings:
            groups += _sibling_checks(attributes, columns, prefix)
        if not prefix and columns.keys() >= {"class_uid", "activity_id", "type_uid"}:
            groups.append(_type_uid_check(columns))

        def check_struct(array: pa.StructArray, place: Place, found: Found) -> None:
            arrays = array.flatten()
            for position, check in children:
                check(arrays[position], place, found)
            for check_group in groups:
                check_group(array, arrays, place, found)

        return check_struct

    def attribute(self, attribute: Attribute, kind: pa.DataType, path: str) -> Check | None:
        """Return the check of a column that holds `attribute`, or ``None`` if nothing can be wrong."""
        if pa.types.is_null(kind) or path in self.proved:
            return None
        if not attribute.is_array:
            return self.value(attribute, kind, path)
        if not _is_list(kind):
            return wrong_type(attribute, kind, path)
        of_elements = self.value(attribute, kind.value_type, f"{path}[]")
        special = self.special.get(f"{path}[]")

        def check_list(array: pa.Array, place: Place, found: Found) -> None:
            elements = array.flatten()
            if not len(elements):
                return
            within = Place(place, array)
            if elements.null_count:
                rows = within.rows(elements.is_null())
                found.error("attribute_wrong_type", f"{path}[]", rows, f"expected {attribute.type}, got null")
            for check in (of_elements, special):
                if check is not None:
                    check(elements, within, found)

        return check_list

    def value(self, attribute: Attribute, kind: pa.DataType, path: str) -> Check | None:
        """Return the check of a column, or of the elements of one, that holds values of `attribute`."""
        if pa.types.is_null(kind) or attribute.base == "json_t":
            return None
        if isinstance(kind, pa.BaseExtensionType):
            return _after(lambda array: array.storage, self.value(attribute, kind.storage_type, path))
        if pa.types.is_dictionary(kind):
            return _after(lambda array: array.dictionary_decode(), self.value(attribute, kind.value_type, path))
        if pa.types.is_string_view(kind):  # most kernels lack it
            text = pa.large_string()
            return _after(lambda array: array.cast(text), self.value(attribute, text, path))
        if attribute.base != "object_t":
            return scalar_check(attribute, kind, path, warnings=self.warnings)
        if attribute.attributes and pa.types.is_struct(kind):
            return self.struct(attribute.attributes, attribute.constraints, kind, f"{path}.")
        if not attribute.attributes and (pa.types.is_struct(kind) or pa.types.is_map(kind)):
            return None
        return wrong_type(attribute, kind, path)

    def unknown(self, path: str) -> Check:
        """Return a check that no value is there, for a column that is no attribute."""
        detail = "this is a path, not a name: objects are structs"
        try:
            self.event_class.attribute(path)
        except SchemaError as error:
            detail = str(error)

        def check(array: pa.Array, place: Place, found: Found) -> None:
            if array.null_count < len(array):
                found.error("attribute_unknown", path, place.rows(array.is_valid()), detail)

        return check


def _after(prepare: Callable[[pa.Array], pa.Array], check: Check | None) -> Check | None:
    if check is None:
        return None
    return lambda array, place, found: check(prepare(array), place, found)


def _is_list(kind: pa.DataType) -> bool:
    tests = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, test)(kind) for test in tests)


def _special_checks(event_class: EventClass, *, warnings: bool) -> Mapping[str, Check]:
    """Return the checks of single attributes that the schema says in words only, by path."""
    version = event_class.version
    profiles = pa.array(sorted(event_class.schema.profiles()), pa.string())

    def check_profiles(array: pa.Array, place: Place, found: Found) -> None:
        array = _text(array)
        wrong = pc.and_not(array.is_valid(), pc.is_in(array, value_set=profiles))
        if wrong.true_count:
            detail = f"OCSF {version} has no profile {sample(array, wrong)}"
            found.error("profile_unknown", "metadata.profiles[]", place.rows(wrong), detail)

    def check_version(array: pa.Array, place: Place, found: Found) -> None:
        array = _text(array)
        wrong = pc.not_equal(array, version)
        if wrong.true_count:
            detail = f"validated as OCSF {version}, the events say {sample(array, wrong)}"
            found.warning("version_incorrect", "metadata.version", place.rows(wrong), detail)

    checks: dict[str, Check] = {"metadata.profiles[]": check_profiles}
    return checks | ({"metadata.version": check_version} if warnings else {})


def _text(array: pa.Array) -> pa.Array:
    """Return text as utf8; what is no text, which its own check reports, as nulls."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kinds = (pa.string(), pa.large_string(), pa.string_view())
    return array.cast(pa.string()) if array.type in kinds else pa.nulls(len(array), pa.string())


def _required_checks(
    attributes: Mapping[str, Attribute], columns: Mapping[str, tuple[int, pa.DataType]], prefix: str
) -> list[GroupCheck]:
    required = [
        (columns[name][0] if name in columns else None, prefix + name)
        for name, attribute in attributes.items()
        if attribute.requirement == "required"
    ]

    def check(array: pa.StructArray, children: list[pa.Array], place: Place, found: Found) -> None:
        absent = array.null_count
        for position, path in required:
            nulls = len(array) if position is None else children[position].null_count
            if nulls > absent:
                missing = array.is_valid()
                if position is not None:
                    missing = pc.and_(missing, children[position].is_null())
                rows = place.rows(missing)
                found.error("attribute_required_missing", path, rows, "a required attribute is missing")

    return [check] if required else []


def _constraint_checks(
    constraints: Mapping[str, tuple[str, ...]], columns: Mapping[str, tuple[int, pa.DataType]], prefix: str
) -> list[GroupCheck]:
    checks: list[GroupCheck] = []
    for kind, names in constraints.items():
        routes = [route for name in names if (route := _route(name.split("."), columns)) is not None]
        if kind == "at_least_one":
            checks.append(_at_least_one_check(routes, prefix.rstrip("."), f"at least one of {', '.join(names)}"))
        elif kind == "just_one":
            checks.append(_just_one_check(routes, prefix.rstrip("."), f"exactly one of {', '.join(names)}"))
    return checks


def _route(names: list[str], columns: Mapping[str, tuple[int, pa.DataType]]) -> list[int] | None:
    """Return the positions that lead to a nested column, or ``None`` if there is none."""
    if names[0] not in columns:
        return None
    position, kind = columns[names[0]]
    if len(names) == 1:
        return [position]
    if not pa.types.is_struct(kind):
        return None
    below = _route(names[1:], {child.name: (place, child.type) for place, child in enumerate(kind)})
    return None if below is None else [position, *below]


def _follow(children: list[pa.Array], route: list[int]) -> pa.Array:
    array = children[route[0]]
    for position in route[1:]:
        array = array.flatten()[position]
    return array


def _at_least_one_check(routes: list[list[int]], path: str, wanted: str) -> GroupCheck:
    def check(array: pa.StructArray, children: list[pa.Array], place: Place, found: Found) -> None:
        failed = array.is_valid()
        absent = array.null_count
        for route in routes:
            candidate = _follow(children, route)
            if candidate.null_count == absent:
                return
            failed = pc.and_(failed, candidate.is_null())
        if failed.true_count:
            found.error("constraint_failed", path, place.rows(failed), f"expected {wanted}")

    return check


def _just_one_check(routes: list[list[int]], path: str, wanted: str) -> GroupCheck:
    def check(array: pa.StructArray, children: list[pa.Array], place: Place, found: Found) -> None:
        count = pa.repeat(pa.scalar(0, pa.int32()), len(array))
        for route in routes:
            count = pc.add(count, _follow(children, route).is_valid().cast(pa.int32()))
        failed = pc.and_(array.is_valid(), pc.not_equal(count, 1))
        if failed.true_count:
            found.error("constraint_failed", path, place.rows(failed), f"expected {wanted}")

    return check


def _sibling_checks(
    attributes: Mapping[str, Attribute], columns: Mapping[str, tuple[int, pa.DataType]], prefix: str
) -> list[GroupCheck]:
    pairs = []
    for name, (position, _) in columns.items():
        attribute = attributes.get(name)
        if attribute and attribute.sibling and not attribute.is_array and _OTHER in (attribute.enum or ()):
            sibling = columns[attribute.sibling][0] if attribute.sibling in columns else None
            pairs.append((position, sibling, prefix + name, attribute.sibling))

    def check(array: pa.StructArray, children: list[pa.Array], place: Place, found: Found) -> None:  # noqa: ARG001 - as all checks
        for position, sibling, path, name in pairs:
            values = as_int64(children[position])
            if values is None or (pc.max(values).as_py() or 0) < _OTHER:
                continue
            bare = pc.equal(values, _OTHER)
            if sibling is not None:
                bare = pc.and_(bare, children[sibling].is_null())
            if bare.true_count:
                detail = f"99 (Other) needs the source's own word in {name!r}"
                found.warning("attribute_enum_sibling_missing", path, place.rows(bare), detail)

    return [check] if pairs else []


def _type_uid_check(columns: Mapping[str, tuple[int, pa.DataType]]) -> GroupCheck:
    positions = [columns[name][0] for name in ("class_uid", "activity_id", "type_uid")]

    def check(array: pa.StructArray, children: list[pa.Array], place: Place, found: Found) -> None:  # noqa: ARG001 - as all checks
        class_uid, activity_id, type_uid = (as_int64(children[position]) for position in positions)
        if class_uid is None or activity_id is None or type_uid is None:
            return
        expected = pc.add(pc.multiply(class_uid, 100), activity_id)
        wrong = pc.not_equal(type_uid, expected)
        if wrong.true_count:
            detail = "expected class_uid * 100 + activity_id"
            found.error("type_uid_incorrect", "type_uid", place.rows(wrong), detail)

    return check
