"""The page on consumers: its Python runs against servers that stand in for those it names, and its SQL on a lake."""

from __future__ import annotations

import json
import re
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from bulk_servers import Collector, SearchServer, free_port, serving

import ocsflake
from ocsflake import samples

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "consumers.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


class Mailbox(Message):
    """Mails as text."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[str] = []

    def handle_message(self, message: Any) -> None:
        self.mails.append(message.get_payload())


@pytest.fixture(scope="module")
def cloudtrail(moto: Any) -> Any:
    """A lake in S3, with events of CloudTrail."""
    lake = ocsflake.Lake(f"s3://{moto.make_bucket()}", client=moto.client(), session=moto.session(timeout=60))
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(samples.files("aws.cloudtrail")[0].parent))
    ocsflake.run(source, lake)
    return lake


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


def test_python(cloudtrail: Any, moto: Any, mailbox: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block runs, in their order; the events arrive everywhere."""
    sqs, keys = moto.client("sqs"), [item.key for item in cloudtrail.storage.objects("ext/")]
    queue_url = sqs.create_queue(QueueName="page")["QueueUrl"]

    def tell() -> None:
        for key in keys:
            where = {"bucket": {"name": cloudtrail.root.split("/")[2]}, "object": {"key": key}}
            sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"source": "aws.s3", "detail": where}))

    with serving(SearchServer()) as search, serving(Collector()) as collector, chdir(tmp_path):
        places = {
            "https://search.example.com": search.url,
            "https://splunk.example.com:8088": collector.url,
            '"mail.example.com", 25': f'"127.0.0.1", {mailbox[1]}',
        }
        names: dict[str, Any] = {"lake": cloudtrail, "queue_url": queue_url, "token": collector.token}
        for block in blocks("python"):
            for stated, here in places.items():
                block = block.replace(stated, here)  # noqa: PLW2901 - the block as it can run here
            if "subscribe(" in block:
                tell()
            exec(compile(block, "consumers.md", "exec"), names)

    said = capsys.readouterr().out
    assert len(search.documents) == len(collector.events) == cloudtrail.usage().total.rows
    assert names["forwarded"].deliveries == len(keys)
    assert f"{names['forwarded'].documents} events, 0 refused" in said
    assert "ci-legacy" in said
    assert len(mailbox[0].mails) == 1
    assert names["rows"] == names["frame"].shape[0] == pa.ipc.open_file(tmp_path / "calls.arrow").read_all().num_rows


def test_sql(cloudtrail: Any) -> None:
    """Each statement for Athena runs over a lake, and finds something."""
    found = [cloudtrail.query(sql, dialect="athena") for sql in blocks("sql")]

    assert len(found) == 2
    assert all(table.num_rows for table in found)
    assert not any(pa.types.is_nested(kind) for kind in found[1].schema.types)


def test_template() -> None:
    """The template is JSON, and covers the indexes by their names."""
    [template] = map(json.loads, blocks("json"))

    assert template["index_patterns"] == ["ocsf-*"]
    assert template["template"]["mappings"]["properties"]["unmapped"] == {"type": "flat_object"}
