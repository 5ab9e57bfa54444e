"""Compiling a mapper for one OCSF version: all checks that need no record, all that is the same for each record."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa
from attrs import evolve, field, frozen

from ocsflake.dictionaries import WORDS, dictionary_paths
from ocsflake.errors import SchemaError
from ocsflake.mapping import expr as e
from ocsflake.mapping import paths
from ocsflake.mapping.checks import check_conditions
from ocsflake.mapping.derive import EnumRule, ObservableRule, Words, words_of
from ocsflake.mapping.frame import Node, tree
from ocsflake.mapping.proofs import proved, takes
from ocsflake.mapping.sharing import shared
from ocsflake.mapping.uses import Use, uses
from ocsflake.ocsf import arrow_schema, compile_validator, load, versions
from ocsflake.times import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from ocsflake.mapping.mapper import EventMap, Mapper
    from ocsflake.ocsf import Attribute, EventClass, Report

__all__ = ["CompiledEvent", "CompiledMapper", "EnumPlan", "Field", "compile_mapper"]

OBSERVABLES = tuple(f"observables[].{name}" for name in ("name", "type", "type_id", "value"))
_KEPT_VALIDATORS = 32
_BY_ENGINE = frozenset({"class_uid", "category_uid", "type_uid", "metadata.version", "observables", "unmapped"})


@frozen(eq=False)
class Field:
    """One line of the table, resolved.

    Attributes:
        path: The attribute path, lists of objects spelt ``resources[].uid``.
        attribute: The attribute of the target version.
        expression: What fills it.
        needed: Whether no event is valid without it: OCSF requires it, and every object around it.
        text: What it is in all events, or ``None``.
    """

    path: str
    attribute: Attribute
    expression: e.Expr
    needed: bool
    text: str | None = None


@frozen(eq=False)
class EnumPlan:
    """An enum of the table: where its text goes, and where the source's own word for 99 comes from.

    Attributes:
        path: The enum.
        sibling: Its text attribute, or ``None`` where the table fills that itself or the version has none.
        rule: Values and captions.
        word: What holds the source's own word, or ``None``.
        known: The words that its tables have; none where a table is of beginnings of words, which is never complete.
    """

    path: str
    sibling: str | None
    rule: EnumRule
    word: e.Expr | None
    known: frozenset[str]


@frozen(eq=False)
class CompiledEvent:
    """The table of one class for one version.

    Attributes:
        event_class: The class with the profiles that the table needs.
        where: The records that it takes, or ``None`` for all.
        fields: The lines of the table that the version knows.
        enums: Its enums.
        twins: Timestamps with their ``*_dt`` twins.
        constants: Attributes that are the same in every event, text or int.
        observables: The attributes that are observables.
        uses: Raw path to what carries its value.
        depths: Attribute to how many lists its values stand in.
        types: The values of ``type_uid`` and their captions.
        schema: The Arrow schema of the events.
        loose: The same with nothing required and set words of observables as dictionaries, for events that are yet to
            be judged.
        validate: Finds what is wrong with a batch of events, whichever of its texts are dictionaries of set words.
    """

    event_class: EventClass
    where: e.Expr | None
    fields: tuple[Field, ...]
    enums: tuple[EnumPlan, ...]
    twins: tuple[tuple[str, str], ...]
    constants: Mapping[str, str | int]
    observables: tuple[ObservableRule, ...]
    uses: Mapping[paths.Path, tuple[Use, ...]]
    depths: Mapping[str, int]
    types: EnumRule
    schema: pa.Schema
    loose: pa.Schema
    validate: Callable[[pa.RecordBatch], Report]


@frozen(eq=False)
class CompiledMapper:
    """A mapper for one version, ready for records."""

    mapper: Mapper
    version: str
    raw_data: bool
    root: Node
    events: tuple[CompiledEvent, ...]
    bounds: Window = field(factory=Window)


@functools.lru_cache(maxsize=128)
def compile_mapper(
    mapper: Mapper, ocsf_version: str | None = None, datetime: bool = True, raw_data: bool = False
) -> CompiledMapper:
    """Return `mapper` ready for one version; cached.

    Raises:
        SchemaError: If the table does not fit OCSF; says where, and what is near.
    """
    schema = load(ocsf_version or versions()[-1])
    named = [path for event in mapper.events for path in _raw_paths(event)]
    found = []
    for event in mapper.events:
        newest = _newest_class(mapper, event)
        if event.event_class in schema.classes and event.holds_in(schema.version):
            found.append(
                _compile_event(mapper, event, schema.event_class(event.event_class), newest, datetime, raw_data)
            )
    if not found:
        names = ", ".join(event.event_class for event in mapper.events)
        raise SchemaError(f"{mapper.log_type}: OCSF {schema.version} has none of its event classes ({names})")
    root = tree([*named, *mapper.parse.whole_paths(), *_expected(mapper, named)])
    return CompiledMapper(mapper, schema.version, raw_data, root, tuple(found))


def _expected(mapper: Mapper, named: list[paths.Path]) -> Iterator[paths.Path]:
    """Yield the raw paths that go to ``unmapped`` by name: a column is cheaper than what nobody expected."""
    for text in mapper.unmapped:
        if not text.endswith(".*"):
            path = paths.parse(text)
            if not any(other[: len(path)] == path for other in named):
                yield path


def _raw_paths(event: EventMap) -> Iterator[paths.Path]:
    for expression in (*event.fields.values(), *([] if event.where is None else [event.where])):
        yield from expression.raw_paths()


def _newest_class(mapper: Mapper, event: EventMap) -> EventClass:
    """Return the class of the newest version, with every attribute path of the table checked against it."""
    schema = load(versions()[-1])
    try:
        newest = schema.event_class(event.event_class, schema.profiles())
        for path in event.fields:
            _check_leaf(path, newest.attribute(path))
        check_conditions(event, mapper.parse.whole_paths())
    except SchemaError as error:
        raise SchemaError(f"{mapper.log_type}: {error}") from None
    return newest


def _check_leaf(path: str, attribute: Attribute) -> None:
    if attribute.attributes:
        inside = ", ".join(f"{path}.{name}" for name in list(attribute.attributes)[:4])
        raise SchemaError(f"{path!r} is an object: name its attributes ({inside} ...)")


def _compile_event(
    mapper: Mapper, event: EventMap, bare: EventClass, newest: EventClass, datetime: bool, raw_data: bool
) -> CompiledEvent:
    schema = bare.schema
    everything = schema.event_class(bare.name, schema.profiles())
    one: dict[Hashable, e.Expr] = {}
    known = {path: shared(x, one) for path, x in event.fields.items() if everything.find(path) is not None}
    applied: frozenset[str] = frozenset()
    for path in known:
        applied |= schema.event_class(bare.name, applied).profiles_of(path)
    if datetime and "time_dt" in everything.attributes and "datetime" in schema.profiles():
        applied |= {"datetime"}
    event_class = schema.event_class(bare.name, applied)
    fields = tuple(_field(event_class, path, x) for path, x in known.items())
    given = {line.path for line in fields}
    enums = tuple(_enums(newest, event_class, fields, given))
    twins = tuple(_twins(event_class, fields)) if "datetime" in applied else ()
    constants = _constants(event_class)
    found = tuple(_observables(event_class, fields))
    filled = given | {plan.sibling for plan in enums if plan.sibling} | {twin for _, twin in twins} | set(constants)
    filled |= {
        "type_uid",
        "unmapped",
        "metadata.profiles",
        *(["type_name"] if "type_name" in event_class.attributes else []),
    }
    filled |= set(OBSERVABLES) if found else set()
    filled |= {"raw_data"} if raw_data else set()
    _check_required(mapper, event_class, filled)
    arrow = arrow_schema(event_class, sorted(filled))
    right = proved(event_class, fields, enums, constants, found)
    return CompiledEvent(
        event_class=event_class,
        where=event.where,
        fields=fields,
        enums=enums,
        twins=twins,
        constants=constants,
        observables=found,
        uses=_uses(event, fields, {plan.path for plan in enums if plan.sibling}, one),
        depths={x.path: x.path.count("[]") + x.attribute.is_array for x in fields},
        types=_types(event_class),
        schema=arrow,
        loose=_loose(arrow, found, right),
        validate=_validator(event_class, right),
    )


def _loose(schema: pa.Schema, rules: tuple[ObservableRule, ...], right: frozenset[str]) -> pa.Schema:
    """Return a schema with nothing required, and dictionaries for what observables are called."""
    if rules:
        place = schema.get_field_index("observables")
        column = schema.field(place)
        texts = {"name": [rule.path for rule in rules], "type": [rule.caption for rule in rules]}
        few = {name for name, given in texts.items() if words_of(dict(zip(given, given, strict=True)))}
        members = [
            member.with_type(WORDS) if member.name in few and f"observables[].{member.name}" in right else member
            for member in column.type.value_type
        ]
        kind = pa.list_(column.type.value_field.with_type(pa.struct(members)))
        schema = schema.set(place, column.with_type(kind))
    return pa.schema([field.with_nullable(True) for field in schema])


def _validator(event_class: EventClass, right: frozenset[str]) -> Callable[[pa.RecordBatch], Report]:
    """Return a function that validates batches; dictionaries hold only what their attribute may have."""
    known: dict[frozenset[str], Callable[[pa.RecordBatch], Report]] = {}

    def validate(batch: pa.RecordBatch) -> Report:
        words = frozenset(dictionary_paths(batch.schema))
        if words not in known:
            if len(known) >= _KEPT_VALIDATORS:
                known.clear()
            known[words] = compile_validator(event_class, batch.schema, warnings=False, proved=right | words)
        return known[words](batch)

    return validate


def _field(event_class: EventClass, path: str, expression: e.Expr) -> Field:
    """Return a line with ``[]`` behind every list of objects."""
    along = event_class.attributes_along(path)
    spelt = ".".join(a.name + ("[]" if a.is_array and a is not along[-1] else "") for a in along)
    needed = all(a.requirement == "required" for a in along)
    return Field(spelt, along[-1], expression, needed, None if "[]" in spelt else _text(along[-1], expression))


def _text(attribute: Attribute, expression: e.Expr) -> str | None:
    """Return the text that an expression is in all events, if an attribute may have it."""
    value = expression.value if isinstance(expression, e.Constant) else None
    if not isinstance(value, str) or not value or attribute.base != "string_t" or attribute.is_array:
        return None
    return value if takes(attribute, value) else None


def _enums(
    newest: EventClass, event_class: EventClass, fields: tuple[Field, ...], given: set[str]
) -> Iterator[EnumPlan]:
    for line in fields:
        attribute = line.attribute
        if attribute.enum is None or attribute.base != "integer_t":
            continue
        captions = {int(k): v for k, v in (newest.attribute(line.path).enum or {}).items()}
        captions |= {int(k): v for k, v in attribute.enum.items()}
        head = line.path.rpartition(".")[0]
        sibling = f"{head}.{attribute.sibling}".lstrip(".") if attribute.sibling else None
        if sibling in given:
            sibling = None
        words = None if sibling is None or attribute.is_array else _words(event_class, sibling, captions)
        rule = EnumRule(frozenset(int(k) for k in attribute.enum), captions, words)
        yield EnumPlan(line.path, sibling, rule, _word(line.expression), _known_words(line.expression))


def _words(event_class: EventClass, path: str, captions: Mapping[int, str]) -> Words | None:
    """Return captions as a dictionary for an attribute; ``None`` where it cannot have all of them, or is in a list."""
    attribute = event_class.find(path)
    if attribute is None or "[]" in path or not all(takes(attribute, text) for text in captions.values()):
        return None
    return words_of(captions)


def _types(event_class: EventClass) -> EnumRule:
    captions = {int(key): caption for key, caption in (event_class.attributes["type_uid"].enum or {}).items()}
    return EnumRule(frozenset(captions), captions, _words(event_class, "type_name", captions))


def _word(expression: e.Expr) -> e.Expr | None:
    """Return what a lookup in an expression looks up: the source's own word."""
    if isinstance(expression, e.Lookup | e.LookupPrefix):
        return expression.key
    return next((word for child in expression.children() if (word := _word(child)) is not None), None)


def _known_words(expression: e.Expr) -> frozenset[str]:
    own = frozenset(expression.table) if isinstance(expression, e.Lookup) else frozenset[str]()
    return own.union(*map(_known_words, expression.children()))


def _twins(event_class: EventClass, fields: tuple[Field, ...]) -> Iterator[tuple[str, str]]:
    given = {line.path for line in fields}
    for line in fields:
        twin = f"{line.path}_dt"
        found = event_class.find(twin)
        if (
            line.attribute.type == "timestamp_t"
            and found is not None
            and found.type == "datetime_t"
            and twin not in given
        ):
            yield line.path, twin


def _constants(event_class: EventClass) -> dict[str, str | int]:
    constants: dict[str, str | int] = {
        "category_uid": event_class.category_uid,
        "category_name": event_class.category_name,
        "class_uid": event_class.uid,
        "class_name": event_class.caption,
        "metadata.version": event_class.version,
    }
    return {path: value for path, value in constants.items() if event_class.find(path) is not None}


def _observables(event_class: EventClass, fields: tuple[Field, ...]) -> Iterator[ObservableRule]:
    listed = event_class.find("observables[].type_id")
    captions = {} if listed is None else listed.enum or {}
    for line in sorted(fields, key=lambda line: line.path):
        kind = line.attribute.observable
        if kind is not None and kind in captions and line.attribute.base == "string_t":
            yield ObservableRule(line.path, kind, captions[kind])


def _uses(
    event: EventMap, fields: tuple[Field, ...], with_sibling: set[str], one: dict[Hashable, e.Expr]
) -> dict[paths.Path, tuple[Use, ...]]:
    found: dict[paths.Path, tuple[Use, ...]] = {}
    for line in fields:
        for use in uses(line.expression, line.path, with_sibling=line.path in with_sibling):
            conditions = tuple(shared(condition, one) for condition in use.conditions)
            found[use.path] = (*found.get(use.path, ()), evolve(use, conditions=conditions))
    for text in event.consumes:
        path = paths.parse(text)
        found[path] = (*found.get(path, ()), Use(path, "", ()))
    return found


def _check_required(mapper: Mapper, event_class: EventClass, filled: set[str]) -> None:
    """Raise where the table leaves out what the class, or an object that it fills, requires."""
    missing = [
        name for name, a in event_class.attributes.items() if a.requirement == "required" and not _has(filled, name)
    ]
    objects = {path.rsplit(".", depth)[0] for path in filled for depth in range(1, path.count(".") + 1)}
    for path in sorted(objects):
        holder = event_class.attribute(path.removesuffix("[]"))
        bare = path if path.endswith("[]") or not holder.is_array else f"{path}[]"
        missing += [
            f"{path}.{name}"
            for name, a in holder.attributes.items()
            if a.requirement == "required" and not _has(filled, f"{bare}.{name}")
        ]
    if missing:
        raise SchemaError(
            f"{mapper.log_type}: {event_class.name} (OCSF {event_class.version}) requires {', '.join(missing)}: "
            "give an expression or a constant"
        )


def _all_names(event_class: EventClass) -> set[str]:
    return {*event_class.attributes, "metadata.profiles"}


def _has(filled: set[str], path: str) -> bool:
    return any(name == path or name.startswith((f"{path}.", f"{path}[]")) for name in filled)
