"""Arrow types and schemas for OCSF."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ocsflake.errors import SchemaError
from ocsflake.ocsf import EventClass, arrow_schema, arrow_type, load

UTC = pa.timestamp("ms", tz="UTC")


@pytest.fixture
def event_class() -> EventClass:
    return load("1.1.0").event_class("api_activity", ["cloud", "datetime"])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("actor.session.is_mfa", pa.bool_()),
        ("activity_id", pa.int32()),
        ("type_uid", pa.int64()),
        ("time", pa.int64()),
        ("time_dt", UTC),
        ("src_endpoint.port", pa.int32()),
        ("src_endpoint.ip", pa.string()),
        ("api.request.data", pa.string()),
        ("unmapped", pa.map_(pa.string(), pa.string())),
        ("metadata.profiles", pa.list_(pa.string())),
        ("src_endpoint.location.coordinates", pa.list_(pa.float64())),
    ],
)
def test_scalars_have_the_types_that_security_lake_writes(
    event_class: EventClass, path: str, kind: pa.DataType
) -> None:
    assert arrow_type(event_class.attribute(path)) == kind


def test_a_schema_holds_the_named_paths_alone_in_alphabetical_order(event_class: EventClass) -> None:
    paths = ["time", "resources[].uid", "actor.user.name", "actor.process.parent_process.pid", "actor.user.uid"]

    schema = arrow_schema(event_class, paths)

    process = pa.struct([("parent_process", pa.struct([("pid", pa.int32())]))])
    user = pa.struct([("name", pa.string()), ("uid", pa.string())])
    assert schema == pa.schema(
        [
            pa.field("actor", pa.struct([("process", process), ("user", user)]), nullable=False),
            pa.field("resources", pa.list_(pa.struct([("uid", pa.string())]))),
            pa.field("time", pa.int64(), nullable=False),
        ]
    )
    assert arrow_schema(event_class, reversed(paths)) == schema


def test_a_bare_object_stands_for_its_scalar_attributes(event_class: EventClass) -> None:
    schema = arrow_schema(event_class, ["observables", "observables[].reputation.score_id"])

    reputation = ("reputation", pa.struct([("score_id", pa.int32())]))
    scalars = [("type", pa.string()), ("type_id", pa.int32()), ("value", pa.string())]
    assert schema == pa.schema(
        [pa.field("observables", pa.list_(pa.struct([("name", pa.string()), reputation, *scalars])))]
    )


def test_a_bare_object_without_scalars_is_refused_with_what_to_name() -> None:
    module = load("1.1.0").event_class("kernel_extension")

    with pytest.raises(SchemaError, match=r"'driver' has no scalar attributes; name .* driver\.file"):
        arrow_schema(module, ["driver"])


def test_an_object_may_hold_its_own_kind_once(event_class: EventClass) -> None:
    arrow_schema(event_class, ["actor.process.parent_process.pid"])

    with pytest.raises(SchemaError, match="holds the object 'process' 3 times"):
        arrow_schema(event_class, ["actor.process.parent_process.parent_process.pid"])


def test_a_wrong_path_is_refused(event_class: EventClass) -> None:
    with pytest.raises(SchemaError, match="did you mean 'name'"):
        arrow_schema(event_class, ["actor.user.nam"])
