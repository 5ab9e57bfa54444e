"""Look a lake over, whoever wrote it: would Security Lake, its crawler, Athena and subscribers take its objects?

`doctor` reads any prefix or directory, and `Diagnosis` is what it found: one `Finding` for each thing that is wrong
with a custom source, with the number of the contract rule, the first object that has it and how many do.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from attrs import define, field, frozen

from ocsflake import ocsf
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake._checks import CHECKS, Problem
from ocsflake.lake._key_checks import check_key_of, place_of
from ocsflake.lake._object_checks import check_object
from ocsflake.lake.layout import glue_table
from ocsflake.lake.storage import DirectoryStorage, check_key
from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.lake._checks import Level
    from ocsflake.lake._key_checks import Place
    from ocsflake.lake._object_checks import Facts
    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["Diagnosis", "Finding", "doctor"]

_OBJECTS_AT_ONCE = 4
_GATHERED = 64
_IN_MEMORY_BYTES = 32 * 1024 * 1024
_PIECE_BYTES = 8 * 1024 * 1024
_IDS = 1_000_000
"""How many events of one partition are kept in mind, to find those that come again."""
_SMALL_ROWS = 100_000
_SMALL_BYTES = 16 * 1024 * 1024
_SMALL_FILES = 8
_NATIVE = re.compile(r"aws/[A-Z0-9_]+/[0-9.]+/")
"""Where Security Lake keeps what it gathers itself; that is its own to write."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}")
_CLASS_UID = re.compile(r".*[_-]([0-9]{4,6})")


@frozen
class Finding:
    """One thing that is wrong with a custom source.

    Attributes:
        rule: The number of the contract rule.
        check: The name of the check, such as ``event-day``.
        level: ``error``, or ``warning`` for what costs or may break a reader.
        key: The first object that has it, or the prefix of the source.
        problem: What was found there.
        advice: What to do.
        objects: How many objects of the source have it.
    """

    rule: int
    check: str
    level: Level
    key: str
    problem: str
    advice: str
    objects: int = 1

    def __str__(self) -> str:
        more = f" (and {self.objects - 1:,} more objects)" if self.objects > 1 else ""
        return clean_line(
            f"{self.level} rule {self.rule} {self.check}: {self.key}: {self.problem}{more}; {self.advice}"
        )


@frozen
class Diagnosis:
    """What `doctor` found; prints one finding a line, and renders in a notebook.

    Attributes:
        findings: Errors first, then by rule.
        objects: How many objects were looked at.
        rows: How many events they hold.
        native: How many objects of Security Lake's own sources were passed over.
    """

    findings: tuple[Finding, ...]
    objects: int = 0
    rows: int = 0
    native: int = 0

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.level == "error" for finding in self.findings)

    def __repr__(self) -> str:
        return f"<Diagnosis: {self.summary}>"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self.summary])

    @property
    def summary(self) -> str:
        """The numbers on one line."""
        warnings = len(self.findings) - self.errors
        native = f", {self.native:,} of native sources passed over" if self.native else ""
        return f"objects={self.objects} rows={self.rows} errors={self.errors} warnings={warnings}{native}"

    def _repr_html_(self) -> str:
        names = ("level", "rule", "check", "key", "problem", "objects", "advice")
        head = "".join(f"<th>{name}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(getattr(finding, name)))}</td>" for name in names) + "</tr>"
            for finding in self.findings
        )
        table = f"<table><tr>{head}</tr>{body}</table>" if self.findings else ""
        return f"<p>{html.escape(self.summary)}</p>{table}"


def doctor(storage: Storage, prefix: str = "", *, region: str = "") -> Diagnosis:
    """Look over all objects below a prefix.

    Every object is read: its footer, its page headers, the columns that place its events, and its first 1,000 events,
    which are judged by OCSF. Objects of Security Lake's own sources (``aws/...``) are passed over, and so is what
    begins with ``.`` or lies in a folder that does.

    Args:
        storage: Where the objects are kept.
        prefix: Look only below it; ``""`` for all.
        region: The AWS Region that all must be under; ``""`` if there may be several, as in a roll-up lake.

    Raises:
        LakeError: If the storage cannot be listed.
    """
    seen = _Seen()
    gathered: list[StoredObject] = []
    with ThreadPoolExecutor(_OBJECTS_AT_ONCE, thread_name_prefix="ocsflake-doctor") as pool:
        for item in storage.objects(prefix):
            if any(part.startswith(".") and part not in {".", ".."} for part in item.key.split("/")):
                continue
            if _NATIVE.match(item.key):
                seen.native += 1
                continue
            gathered.append(item)
            if len(gathered) == _GATHERED:
                seen.take(pool.map(lambda one: _look(storage, one, region), gathered))
                gathered = []
        seen.take(pool.map(lambda one: _look(storage, one, region), gathered))
    return seen.diagnosis()


@frozen(eq=False)
class _Looked:
    """One object that was looked at."""

    item: StoredObject
    place: Place
    problems: list[Problem]
    facts: Facts | None = None
    digest: bytes = b""


def _look(storage: Storage, item: StoredObject, region: str) -> _Looked:
    place = place_of(item.key)
    if not item.key.endswith(".parquet"):
        suffix = PurePosixPath(item.key).suffix
        return _Looked(item, place, [Problem("stray-file", "it is no .parquet object", suffix)])
    problems = list(check_key_of(item.key, region))
    try:
        check_key(item.key, "the lake")
    except ConfigError:
        return _Looked(item, place, problems)  # it cannot be opened by its key
    try:
        with storage.open(item.key) as stored, _at_hand(storage, stored, item.bytes) as file:
            facts, found = check_object(file, place)
            content = file.getvalue() if isinstance(file, io.BytesIO) else b""
    except LakeError as error:
        return _Looked(item, place, [*problems, Problem("parquet", f"it cannot be read: {error}")])
    digest = hashlib.blake2b(content, digest_size=16).digest() if content else b""
    return _Looked(item, place, problems + found, facts, digest)


@contextmanager
def _at_hand(storage: Storage, stored: BinaryIO, size: int) -> Iterator[BinaryIO]:
    """Give an object as a file of this machine, since the headers of its pages are read one by one."""
    if size <= _IN_MEMORY_BYTES:
        yield cast("BinaryIO", io.BytesIO(stored.read()))
    elif isinstance(storage, DirectoryStorage):
        yield stored
    else:
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(stored, file, _PIECE_BYTES)
            yield file


class _Seen:
    """What was seen of all custom sources."""

    def __init__(self) -> None:
        self.objects = self.rows = self.native = 0
        self._found: dict[tuple[str, str, str], tuple[str, str, list[int]]] = {}
        self._sources: dict[str, _Source] = defaultdict(_Source)

    def take(self, looked: Iterable[_Looked]) -> None:
        """Take what was seen of some objects."""
        for each in looked:
            self.objects += 1
            source = self._sources[each.place.location]
            for problem in [*each.problems, *source.compare(each)]:
                self._add(each.place.location, each.item.key, problem)
            self.rows += each.facts.rows if each.facts else 0

    def diagnosis(self) -> Diagnosis:
        """Return all findings."""
        for location, source in self._sources.items():
            for key, problem in source.whole(location):
                self._add(location, key, problem)
        for key, problem in _check_names(self._sources):
            self._add("", key, problem)
        findings = [
            Finding(CHECKS[check].rule, check, CHECKS[check].level, key, text, CHECKS[check].advice, count)
            for (_, check, _), (key, text, [count]) in self._found.items()
        ]
        findings.sort(key=lambda finding: (finding.level, finding.rule, finding.check, finding.key))
        return Diagnosis(tuple(findings), self.objects, self.rows, self.native)

    def _add(self, location: str, key: str, problem: Problem) -> None:
        _, _, count = self._found.setdefault((location, problem.check, problem.subject), (key, problem.text, [0]))
        count[0] += 1


@define
class _Source:
    """What the objects of one custom source have in common, and what those of the present partition hold."""

    codecs: dict[frozenset[str], str] = field(factory=dict)
    classes: dict[int, str] = field(factory=dict)
    first: tuple[frozenset[str], str] | None = None
    types: dict[str, tuple[str, str]] = field(factory=dict)
    small: Counter[str] = field(factory=Counter)
    folder: str = ""
    contents: dict[bytes, str] = field(factory=dict)
    ids: dict[int, str] = field(factory=dict)

    def compare(self, looked: _Looked) -> Iterator[Problem]:
        """Yield in what an object differs from those before it."""
        key, facts = looked.item.key, looked.facts
        if facts is None:
            return
        folder = key.rpartition("/")[0]
        if folder != self.folder:  # objects come in the order of their keys
            if self.small[self.folder] <= _SMALL_FILES:
                del self.small[self.folder]
            self.folder, self.contents, self.ids = folder, {}, {}
        yield from self._repeats(key, facts, looked.digest)
        if facts.rows < _SMALL_ROWS and looked.item.bytes < _SMALL_BYTES:
            self.small[folder] += 1
        yield from _differing(self.codecs, facts.codecs, key, "mixed-codecs", "the codec is")
        for uid in facts.classes:
            first = self.classes.setdefault(uid, key)
            if first == key and len(self.classes) > 1 and len(facts.classes) == 1:
                others = ", ".join(str(other) for other in self.classes if other != uid)
                yield Problem("one-class", f"class_uid is {uid}, and others of this source have {others}", str(uid))
        for path, kind in facts.leaves.items():
            known, where = self.types.setdefault(path, (kind, key))
            if known != kind:
                yield Problem("mixed-types", f"{path} is {kind}, and {known} in {where}", path)
        if self.first is None:
            self.first = frozenset(facts.leaves), key
        columns, where = self.first
        if differing := sorted(columns ^ facts.leaves.keys()):
            text = f"{len(differing)} columns are not in both it and {where}: {', '.join(differing[:3])}"
            yield Problem("mixed-columns", text)

    def _repeats(self, key: str, facts: Facts, digest: bytes) -> Iterator[Problem]:
        """Yield what an object has that was seen in another one of its partition."""
        twin = self.contents.setdefault(digest, key) if digest else key
        again = [self.ids[one] for one in facts.ids if one in self.ids]
        if twin != key:
            yield Problem("duplicate", f"it has the same content as {twin}")
        elif again:
            where = Counter(again).most_common(1)[0][0]
            text = f"{len(again):,} of its first {len(facts.ids):,} events are in {where} or others, by metadata.uid"
            yield Problem("repeated", f"{text} and time")
        if len(self.ids) < _IDS:
            self.ids.update(dict.fromkeys(facts.ids, key))

    def whole(self, location: str) -> Iterator[tuple[str, Problem]]:
        """Yield what shows only when all objects were seen."""
        for folder, count in self.small.items():
            if count > _SMALL_FILES:
                yield f"{folder}/", Problem("small-files", f"there are {count:,} small objects in one partition")
        named = _CLASS_UID.fullmatch(location.rstrip("/"))
        if named and int(named[1]) in ocsf.load(ocsf.DEFAULT_VERSION).classes.values():
            for uid, key in self.classes.items():
                if uid != int(named[1]):
                    yield (
                        key,
                        Problem("one-class", f"class_uid is {uid}, and the source is named for {named[1]}", "name"),
                    )


def _differing(
    known: dict[frozenset[str], str], value: frozenset[str], key: str, check: str, what: str
) -> Iterator[Problem]:
    if not value:
        return
    first = next(iter(known), value)
    known.setdefault(value, key)
    if value != first or len(value) > 1:
        was = f", and {' and '.join(sorted(first))} in {known[first]}" if value != first else ""
        yield Problem(check, f"{what} {' and '.join(sorted(value))}{was}")


def _check_names(locations: Iterable[str]) -> Iterator[tuple[str, Problem]]:
    """Check the names of custom sources, as far as they are in the usual place."""
    tables: dict[str, str] = {}
    for location in locations:
        kind, _, rest = location.partition("/")
        name = rest.partition("/")[0]
        if kind != "ext" or not name:
            continue
        if not _NAME.fullmatch(name):
            text = f"the source name {name!r} has {len(name)} characters"
            yield location, Problem("source-name", text if len(name) > 20 else f"the source name is {name!r}", name)
        other = tables.setdefault(glue_table("", name), name)
        if other != name:
            yield location, Problem("glue-collision", f"{name!r} and {other!r} have one table in Glue", name)
