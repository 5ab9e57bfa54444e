"""The checks of the doctor: what each is called, which contract rule it is of, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHECKS", "Check", "Level", "Problem"]

Level = Literal["error", "warning"]


@frozen
class Check:
    """What one check is about.

    Attributes:
        rule: The number of the contract rule.
        level: ``error`` for what breaks the contract, ``warning`` for what costs or may break a reader.
        advice: What to do.
    """

    rule: int
    level: Level
    advice: str


@frozen
class Problem:
    """One thing that is wrong.

    Attributes:
        check: Its name in `CHECKS`.
        text: What was found.
        subject: What it is about within an object, such as a column; problems of one check and subject are told once.
    """

    check: str
    text: str
    subject: str = ""


CHECKS: Mapping[str, Check] = {
    "source-name": Check(1, "warning", "register a name of at most 20 letters, digits, '_' and '-'"),
    "glue-collision": Check(2, "error", "rename one: Glue knows no case, and takes '-' for '_'"),
    "ocsf-version": Check(
        9, "warning", "write OCSF 1.0 to 1.3: newer is not documented, and before 1.0 classes had other numbers"
    ),
    "ocsf": Check(9, "error", "correct the mapping; ocsflake validate FILE shows each event"),
    "ocsf-advice": Check(9, "warning", "correct the mapping; ocsflake validate FILE shows each event"),
    "old-class": Check(9, "warning", "write the class that OCSF has in its place"),
    "key": Check(12, "error", "write {location}region=REGION/accountId=ACCOUNT/eventDay=YYYYMMDD/NAME.parquet"),
    "partition-name": Check(12, "error", "spell the partitions region=, accountId= and eventDay=, case included"),
    "region": Check(13, "error", "write the AWS Region of the lake's bucket; the event's own is cloud.region"),
    "account": Check(14, "error", "write each event under the account that it is of"),
    "account-form": Check(14, "warning", "write the 12 digits of the events' own account, or external_ID"),
    "event-day": Check(15, "error", "write each event under the UTC day of its own time"),
    "day-format": Check(15, "error", "write the UTC day as YYYYMMDD"),
    "stray-file": Check(18, "error", "move it out: every object there is offered to the crawler and to subscribers"),
    "parquet": Check(19, "error", "write it anew: no reader can open it"),
    "page-size": Check(19, "error", "write pages of at most 1 MB; pyarrow's data_page_size alone does not do it"),
    "row-group-size": Check(19, "error", "write row groups of at most 256 MB compressed"),
    "codec": Check(19, "warning", "compress with zstandard"),
    "one-class": Check(20, "error", "write one event class an object, and a custom source for each class"),
    "sorted": Check(21, "error", "sort the events of an object by time"),
    "small-files": Check(22, "warning", "gather for 5 minutes or more; ocsflake compact merges those of closed days"),
    "empty": Check(22, "warning", "put no object when there are no events"),
    "time": Check(23, "error", "write time as int64 milliseconds since the epoch, in every event"),
    "time-unit": Check(23, "error", "write milliseconds"),
    "column-type": Check(23, "error", "write the type that Security Lake's own tables have"),
    "list-encoding": Check(
        23, "error", "annotate repeated columns as LIST with three levels, or Athena cannot read them"
    ),
    "old-lists": Check(23, "warning", "write lists with three levels (list.element)"),
    "null-column": Check(25, "error", "fix the schema of each class; a type must not come from the data"),
    "loose-object": Check(
        25, "error", "write free objects as map<string,string>: their keys differ from event to event"
    ),
    "wide": Check(25, "warning", "write the attributes that are in use, not the whole class"),
    "mixed-codecs": Check(26, "error", "keep one codec in a source: the crawler skips partitions that differ"),
    "mixed-types": Check(26, "error", "keep one schema in a source: Athena fails on a column of two types"),
    "mixed-columns": Check(26, "warning", "keep one schema in a source, or run the crawler after a change"),
    "duplicate": Check(30, "error", "name objects after their content, so that a retry replaces and does not add"),
    "repeated": Check(30, "warning", "write each event once; a retry or a second reading has to replace, and not add"),
    "object-name": Check(30, "warning", "add a digest or an id to the name, or another writer replaces the object"),
}
"""All checks by name."""
