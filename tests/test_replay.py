"""Replay: rejected records run again; what is still rejected stays, the rest becomes events, each once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ocsflake
from ocsflake import pipeline
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import ConfigError, SourceError
from ocsflake.replaying import RejectedRecords, rejected_sources
from ocsflake.report import Counts
from pipeline_logs import Parts, bad, events, objects, record, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ocsflake.model import Split, State


@pytest.fixture
def lake(tmp_path: Path) -> ocsflake.Lake:
    return ocsflake.Lake(tmp_path / "lake")


@pytest.fixture
def rejects(tmp_path: Path, lake: ocsflake.Lake) -> Path:
    """A folder with the rejects of a run: two files, of two records and one."""
    folder = tmp_path / "rejects"
    source = Parts({"a": [record(0), bad(1), bad(2)], "b": [bad(3)]})
    ocsflake.run(source, lake, rejects=folder, commit_bytes=1)
    return folder


def lines(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    return sorted(found, key=lambda line: str(line["record"]))


def mend(folder: Path, *numbers: int) -> None:
    """Give the records of these numbers the time that they lack, as somebody would with an editor."""
    for path in folder.rglob("*.jsonl"):
        text = path.read_text()
        for number in numbers:
            text = text.replace(json.dumps(json.dumps(bad(number))), json.dumps(json.dumps(record(number))))
        path.write_text(text)


def test_still_rejected(rejects: Path, lake: ocsflake.Lake) -> None:
    """Records that are rejected again stay, with the record, the reason and where they came from."""
    before = lines(rejects)

    report = pipeline.replay(rejects, lake)

    assert report.counts == Counts(records=3, rejects=3)
    assert [json.loads(str(line["record"])) for line in before] == [bad(1), bad(2), bad(3)]
    assert before == lines(rejects)
    assert events([0]) == rows(lake.root)


def test_mended(rejects: Path, lake: ocsflake.Lake) -> None:
    """Records that are good now become events, once, and the others stay."""
    mend(rejects, 1, 3)

    report = pipeline.replay(rejects, lake)

    assert report.counts == Counts(records=3, mapped=2, rejects=1, events=2, written=2)
    assert [json.loads(str(line["record"])) for line in lines(rejects)] == [bad(2)]
    assert events([0, 1, 3]) == rows(lake.root)
    assert pipeline.replay(rejects, lake).counts == Counts(records=1, rejects=1)
    assert events([0, 1, 3]) == rows(lake.root)


def test_all_mended(rejects: Path, lake: ocsflake.Lake) -> None:
    """When all records are events there is no file left, and nothing more to replay."""
    mend(rejects, 1, 2, 3)

    heard: list[pipeline.Progress] = []
    report = pipeline.replay(rejects, lake, progress=heard.append)

    assert report.counts.written == 3
    assert heard[-1].counts == report.counts
    assert lines(rejects) == []
    assert pipeline.replay(rejects, lake).counts == Counts()
    assert events(range(4)) == rows(lake.root)


def test_settings(tmp_path: Path, lake: ocsflake.Lake) -> None:
    """What a run can be told a replay can, too: which times are allowed, what is redacted, where state is kept."""
    folder, store = tmp_path / "rejects", MemoryCheckpoints()
    answer = {"credentials": {"sessionToken": "hunter2"}}
    source = Parts({"a": [record(1, eventTime="1990-01-01T00:00:00Z"), record(2, eventTime="2999-01-01T00:00:00Z")]})
    source.parts["a"] = [{**each, "responseElements": answer} for each in source.parts["a"]]  # type: ignore[union-attr]
    ocsflake.run(source, lake, rejects=folder, keep_secrets=True, checkpoints=MemoryCheckpoints())

    assert pipeline.replay(folder, lake, keep_secrets=True, checkpoints=store).counts.rejects == 2
    report = pipeline.replay(folder, lake, keep_secrets=True, checkpoints=store, max_age=None)
    assert (report.counts.written, report.counts.rejects) == (1, 1)
    report = pipeline.replay(folder, lake, checkpoints=store, max_ahead="400000d", redact=["requestParameters.key"])
    assert report.counts.written == 1

    old, young = (str(row) for row in lake.query("SELECT * FROM api_activity ORDER BY time").to_pylist())
    assert ["hunter2" in old, "clip-1" in old, "hunter2" in young, "clip-2" in young] == [True, True, False, False]
    assert store.load(f"rejects:aws.cloudtrail:{folder / 'aws.cloudtrail'}")[0] is not None
    assert isinstance(lake.root, Path)
    assert not (lake.root / ".ocsflake" / "checkpoints.db").exists()


def test_no_folder(tmp_path: Path, lake: ocsflake.Lake) -> None:
    """A folder that is not there is a mistake of the caller."""
    with pytest.raises(ConfigError, match="no folder of rejects: give what a run was given as rejects= or --rejects"):
        pipeline.replay(tmp_path / "reject", lake)


def test_several_log_types(tmp_path: Path, lake: ocsflake.Lake) -> None:
    """Each log type is a source of its own, in the order of their names; other files do not count."""
    folder = tmp_path / "rejects"
    for log_type, text in (("aws.cloudtrail", json.dumps(bad(1))), ("aws.vpc_flow", "2 unparsable")):
        (folder / log_type).mkdir(parents=True)
        line = {"log_type": log_type, "record": text, "reason": "?", "attribute": "", "origin": {"uri": "x"}}
        (folder / log_type / "1.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "notes.txt").write_text("these are rejects")

    report = pipeline.replay(folder, lake)

    assert [(r.log_type, r.counts.rejects) for r in report.sources] == [("aws.cloudtrail", 1), ("aws.vpc_flow", 1)]
    assert {json.dumps(line["origin"]) for line in lines(folder)} == {'{"uri": "x"}'}


def test_header(tmp_path: Path, lake: ocsflake.Lake) -> None:
    """A line of text is read with the header that it came with."""
    names = "dstaddr srcaddr version account-id interface-id srcport dstport protocol packets bytes start end action"
    text = "192.0.2.1 10.0.0.1 2 111122223333 eni-1 1024 443 6 10 840 1772323200 1772323260 ACCEPT OK"
    line = {"log_type": "aws.vpc_flow", "record": text, "origin": {"header": f"{names} log-status"}}
    (tmp_path / "rejects" / "aws.vpc_flow").mkdir(parents=True)
    (tmp_path / "rejects" / "aws.vpc_flow" / "1.jsonl").write_text(json.dumps(line) + "\n")

    pipeline.replay(tmp_path / "rejects", lake)

    assert lake.query("SELECT src_endpoint.ip AS ip FROM network_activity").to_pylist() == [{"ip": "10.0.0.1"}]


def test_splits(rejects: Path) -> None:
    """A split is a file as it is now; a file whose records are durable elsewhere is removed and gives none."""
    [source] = rejected_sources(rejects)

    splits = list(source.plan({}, datetime.now(UTC)))

    for split in splits:
        data = (source.folder / split.detail["file"]).read_bytes()
        assert split.id == f"{split.detail['file']}:{blake2b(data).hexdigest()[:32]}"
        assert split.bytes == len(data)
        assert {raw.head for raw in source.read(split)} == {b""}
    assert [split.detail["file"] for split in splits] == sorted(path.name for path in source.folder.iterdir())
    assert source.advance(None, splits) == {"done": [split.id for split in splits]}
    assert list(source.plan({"done": [splits[0].id]}, datetime.now(UTC))) == splits[1:]
    assert [path.name for path in source.folder.iterdir()] == [splits[1].detail["file"]]


def test_files_that_are_gone(rejects: Path, lake: ocsflake.Lake) -> None:
    """Whoever removed a file of rejects that was read has spared us the trouble."""
    [source] = rejected_sources(rejects)
    [first, second] = source.plan(None, datetime.now(UTC))

    source.acknowledge([first])
    source.acknowledge([first, second])

    assert list(source.plan(None, datetime.now(UTC))) == []


def test_damaged_file(rejects: Path, lake: ocsflake.Lake) -> None:
    """A file that is not as ocsflake writes them is reported and stays; the others are replayed."""
    mend(rejects, 1, 2, 3)
    damaged = rejects / "aws.cloudtrail" / "0.jsonl"
    damaged.write_text("{not json\n")

    report = pipeline.replay(rejects, lake)

    assert [failure.split.split(":")[0] for failure in report.failures] == ["0.jsonl"]
    assert "0.jsonl, line 1, is no reject as ocsflake writes them" in report.failures[0].error
    assert events(range(4)) == rows(lake.root)
    assert [path.name for path in rejects.rglob("*.jsonl")] == ["0.jsonl"]


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that cannot be read at all is named."""
    (tmp_path / "aws.cloudtrail" / "0.jsonl").mkdir(parents=True)

    with pytest.raises(SourceError, match=r"0\.jsonl cannot be read: Is a directory"):
        pipeline.replay(tmp_path, ocsflake.Lake(tmp_path / "lake"))


@pytest.mark.parametrize("crash", ["before the state is saved", "before the file is removed"])
def test_crash(rejects: Path, lake: ocsflake.Lake, crash: str) -> None:
    """A replay that ends halfway is finished by the next one, and doubles nothing."""
    mend(rejects, 1, 2)
    store = MemoryCheckpoints()

    class Dies(RejectedRecords):
        def advance(self, state: State | None, done: Sequence[Split]) -> State:
            if crash == "before the state is saved":
                raise KeyboardInterrupt
            return RejectedRecords.advance(self, state, done)

        def acknowledge(self, splits: Sequence[Split]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ocsflake.run(Dies(rejects / "aws.cloudtrail", "aws.cloudtrail"), lake, checkpoints=store, rejects=rejects)
    before = objects(lake.root)
    files = [path.name for path in rejects.rglob("*.jsonl")]
    report = pipeline.replay(rejects, lake, checkpoints=store)

    assert len(files) == 3  # the two that were read, and the one of what is rejected again
    assert before == objects(lake.root)
    assert events([0, 1, 2]) == rows(lake.root)
    assert [json.loads(str(line["record"])) for line in lines(rejects)] == [bad(3)]
    assert report.failures == []


def test_sources(tmp_path: Path) -> None:
    """Sources are told apart by their folder, which may be given as a relative path."""
    (tmp_path / "aws.cloudtrail").mkdir()

    (source,) = rejected_sources(tmp_path)

    assert source == RejectedRecords(tmp_path / "aws.cloudtrail", "aws.cloudtrail")
    assert source.name == f"rejects:aws.cloudtrail:{tmp_path}/aws.cloudtrail"


@pytest.mark.parametrize("cut", [lambda path: path.unlink(), lambda path: path.write_text("")])
def test_file_changes_meanwhile(rejects: Path, lake: ocsflake.Lake, cut: Callable[[Path], object]) -> None:
    """A file that somebody takes away or empties between planning and reading does no harm to the others."""

    class Late(RejectedRecords):
        def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
            planned = list(RejectedRecords.plan(self, state, now))
            cut(self.folder / planned[0].detail["file"])
            return iter(planned)

    mend(rejects, 1, 2, 3)

    report = ocsflake.run(Late(rejects / "aws.cloudtrail", "aws.cloudtrail"), lake, rejects=rejects)

    assert report.counts.balanced
    assert report.counts.written in (1, 2)
