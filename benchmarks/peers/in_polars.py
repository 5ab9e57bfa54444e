"""The mappings of `ways` in Polars, with the columns of the SQL: what is not there either is left out here, too."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import polars as pl

from ocsflake.mappers.aws import cloudtrail as table
from ocsflake.mappers.aws import vpc_flow as flow

if TYPE_CHECKING:
    from pathlib import Path

TEXT = pl.String
IDENTITY = pl.Struct(
    {
        **dict.fromkeys(["type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy"], TEXT),
        "sessionContext": pl.Struct(
            {
                "sessionIssuer": pl.Struct({"arn": TEXT}),
                "attributes": pl.Struct({"creationDate": TEXT, "mfaAuthenticated": TEXT}),
            }
        ),
    }
)
COLUMNS: dict[str, Any] = {
    **dict.fromkeys(
        [
            *("eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent"),
            *("errorCode", "errorMessage", "requestParameters", "responseElements", "requestID", "eventID"),
            *("eventType", "recipientAccountId", "eventCategory", "vpcEndpointId"),
        ],
        TEXT,
    ),
    "resources": pl.List(pl.Struct({"ARN": TEXT, "type": TEXT})),
    "userIdentity": IDENTITY,
}
PREFIX = "^(?:" + "|".join(sorted(table.OPERATION, key=len, reverse=True)) + ")"
FORM = "%Y-%m-%dT%H:%M:%SZ"


def cloudtrail(lines: list[Path], out: Path) -> int:
    """Map JSON lines of CloudTrail."""
    name, identity = pl.col("eventName"), pl.col("userIdentity").struct
    context = identity.field("sessionContext").struct
    is_sign_in = name.is_in(list(table.SIGN_IN))
    is_change = name.is_in(list(table.ACCOUNT_CHANGE)) & pl.col("eventSource").is_in(list(table.IDENTITY_SERVICES))
    address = pl.col("sourceIPAddress")
    is_ip = address.str.contains("^[0-9.]+$|:")
    created = context.field("attributes").struct.field("creationDate").str.to_datetime(FORM, time_unit="ms")
    mfa = context.field("attributes").struct.field("mfaAuthenticated") == "true"
    failed = pl.col("errorCode").is_not_null() | (
        (pl.col("class_uid") == 3002)
        & pl.col("responseElements").str.contains('"ConsoleLogin":\\s*"Failure"').fill_null(value=False)
    )
    activity = (
        pl.when(pl.col("class_uid") == 3002)
        .then(name.replace_strict(table.SIGN_IN, default=99, return_dtype=pl.Int64))
        .when(pl.col("class_uid") == 3001)
        .then(name.replace_strict(table.ACCOUNT_CHANGE, default=99, return_dtype=pl.Int64))
        .otherwise(name.str.extract(f"({PREFIX})").replace_strict(table.OPERATION, default=99, return_dtype=pl.Int64))
    )
    product = [
        pl.col("eventVersion").alias("version"),
        pl.lit("CloudTrail").alias("name"),
        pl.lit("AWS").alias("vendor_name"),
        pl.struct(pl.col("eventCategory").alias("name")).alias("feature"),
    ]
    user = [
        identity.field("type"),
        identity.field("type").replace_strict(table.USER_TYPE, default=99, return_dtype=pl.Int64).alias("type_id"),
        identity.field("arn").alias("uid"),
        identity.field("principalId").alias("uid_alt"),
        pl.coalesce(
            identity.field("userName"),
            pl.when(identity.field("type") == "AWSService").then(identity.field("invokedBy")),
        ).alias("name"),
        pl.struct(identity.field("accountId").alias("uid")).alias("account"),
        identity.field("accessKeyId").replace({"": None}).alias("credential_uid"),
    ]
    session = [
        created.dt.epoch("ms").alias("created_time"),
        created.alias("created_time_dt"),
        mfa.alias("is_mfa"),
        context.field("sessionIssuer").struct.field("arn").alias("issuer"),
    ]
    resources = pl.col("resources").list.eval(
        pl.struct(pl.element().struct.field("ARN").alias("uid"), pl.element().struct.field("type"))
    )
    rows = (
        pl.concat([pl.read_ndjson(path, schema=COLUMNS) for path in lines])
        .with_columns(
            pl.when(is_sign_in).then(3002).when(is_change).then(3001).otherwise(6003).cast(pl.Int64).alias("class_uid"),
            pl.col("eventTime").str.to_datetime(FORM, time_unit="ms").alias("time_dt"),
        )
        .with_columns(activity.alias("activity_id"))
        .select(
            "class_uid",
            (pl.col("class_uid") // 1000).alias("category_uid"),
            "activity_id",
            (pl.col("class_uid") * 100 + pl.col("activity_id")).alias("type_uid"),
            pl.col("time_dt").dt.epoch("ms").alias("time"),
            "time_dt",
            pl.lit(1).alias("severity_id"),
            pl.when(failed).then(2).otherwise(1).alias("status_id"),
            pl.struct(
                pl.col("eventID").alias("uid"),
                pl.col("eventType").alias("event_code"),
                pl.lit("1.1.0").alias("version"),
                pl.lit(["cloud", "datetime"]).alias("profiles"),
                pl.struct(product).alias("product"),
            ).alias("metadata"),
            pl.struct(
                pl.lit("AWS").alias("provider"),
                pl.col("awsRegion").alias("region"),
                pl.struct(pl.col("recipientAccountId").alias("uid")).alias("account"),
            ).alias("cloud"),
            pl.struct(
                name.alias("operation"),
                pl.struct(pl.col("eventSource").alias("name")).alias("service"),
                pl.struct(pl.col("requestID").alias("uid"), pl.col("requestParameters").alias("data")).alias("request"),
                pl.struct(
                    pl.col("responseElements").alias("data"),
                    pl.col("errorCode").alias("error"),
                    pl.col("errorMessage").alias("message"),
                ).alias("response"),
            ).alias("api"),
            pl.struct(
                pl.struct(user).alias("user"),
                pl.struct(session).alias("session"),
                identity.field("invokedBy").alias("invoked_by"),
            ).alias("actor"),
            pl.struct(
                pl.when(is_ip).then(address).alias("ip"),
                pl.when(~is_ip).then(address).alias("domain"),
                pl.when(~is_ip).then(address).alias("svc_name"),
                pl.col("vpcEndpointId").alias("uid"),
            ).alias("src_endpoint"),
            pl.struct(pl.col("userAgent").alias("user_agent")).alias("http_request"),
            pl.when(pl.col("class_uid") == 6003).then(resources).alias("resources"),
        )
        .sort("time", maintain_order=True)
    )
    return _write(rows, ["class_uid", "account", "day"], out)


def vpc_flow(files: list[Path], out: Path) -> int:
    """Map VPC flow logs of version 2 or 5."""
    with gzip.open(files[0], "rt") as text:
        names = text.readline().split()

    def given(name: str) -> pl.Expr:
        return pl.col(name) if name in names else pl.lit(None, TEXT)

    begin, end = (pl.col(name).cast(pl.Int64) * 1000 for name in ("start", "end"))
    source = pl.coalesce(given("pkt-srcaddr"), pl.col("srcaddr"))
    destination = pl.coalesce(given("pkt-dstaddr"), pl.col("dstaddr"))
    inbound = (given("flow-direction") == "ingress").fill_null(value=False)
    act = pl.col("action").replace_strict({"ACCEPT": 1, "REJECT": 2}, default=0, return_dtype=pl.Int32)

    def side(ip: pl.Expr, port: str, service: str, placed: pl.Expr) -> pl.Expr:
        return pl.struct(
            ip.alias("ip"),
            pl.col(port).cast(pl.Int32).alias("port"),
            given(service).alias("svc_name"),
            *(
                pl.when(placed).then(given(f"{name}-id")).alias(f"{name}_uid")
                for name in ("interface", "vpc", "subnet", "instance")
            ),
        )

    def observable(name: str, value: pl.Expr) -> pl.Expr:
        kind = [pl.lit(name).alias("name"), pl.lit("IP Address").alias("type"), pl.lit(2).alias("type_id")]
        return pl.struct(*kind, value.alias("value"))

    activity = pl.col("action").replace_strict({"ACCEPT": 6, "REJECT": 5}, default=0, return_dtype=pl.Int32)
    direction = given("flow-direction").replace_strict({"ingress": 1, "egress": 2}, default=0, return_dtype=pl.Int32)
    observables = pl.when(source.is_not_null()).then(
        pl.concat_list(observable("dst_endpoint.ip", destination), observable("src_endpoint.ip", source))
    )
    rows = (
        pl.concat(
            [pl.read_csv(path, separator=" ", null_values="-", infer_schema=False, quote_char=None) for path in files]
        )
        .select(
            begin.alias("time"),
            begin.cast(pl.Datetime("ms")).alias("time_dt"),
            begin.alias("start_time"),
            begin.cast(pl.Datetime("ms")).alias("start_time_dt"),
            end.alias("end_time"),
            end.cast(pl.Datetime("ms")).alias("end_time_dt"),
            pl.lit(4).alias("category_uid"),
            pl.lit(4001).alias("class_uid"),
            activity.alias("activity_id"),
            (activity + 400_100).alias("type_uid"),
            pl.lit(1).alias("severity_id"),
            act.alias("action_id"),
            act.alias("disposition_id"),
            pl.col("log-status").alias("status_code"),
            pl.struct(
                pl.struct(
                    pl.col("version"),
                    pl.lit("Amazon VPC").alias("name"),
                    pl.lit("AWS").alias("vendor_name"),
                    pl.struct(pl.lit("Flowlogs").alias("name")).alias("feature"),
                ).alias("product"),
                pl.lit("1.1.0").alias("version"),
                pl.lit(["cloud", "datetime", "security_control"]).alias("profiles"),
            ).alias("metadata"),
            pl.struct(
                pl.lit("AWS").alias("provider"),
                pl.struct(pl.col("account-id").alias("uid")).alias("account"),
                given("region").alias("region"),
                given("az-id").alias("zone"),
            ).alias("cloud"),
            side(source, "srcport", "pkt-src-aws-service", ~inbound | source.is_null()).alias("src_endpoint"),
            side(destination, "dstport", "pkt-dst-aws-service", inbound | destination.is_null()).alias("dst_endpoint"),
            pl.struct(
                pl.col("protocol").cast(pl.Int32).alias("protocol_num"),
                pl.col("protocol").replace_strict(flow.PROTOCOL, default=None).alias("protocol_name"),
                given("tcp-flags").cast(pl.Int32).alias("tcp_flags"),
                direction.alias("direction_id"),
                (given("traffic-path").cast(pl.Int32) + 3).alias("boundary_id"),
            ).alias("connection_info"),
            pl.struct(pl.col("packets").cast(pl.Int64), pl.col("bytes").cast(pl.Int64)).alias("traffic"),
            observables.alias("observables"),
        )
        .sort("time", maintain_order=True)
    )
    return _write(rows, ["account", "day"], out)


def _write(rows: pl.DataFrame, keys: list[str], out: Path) -> int:
    """Write one file for each account and day, and class if there are several."""
    account = pl.col("cloud").struct.field("account").struct.field("uid")
    parted = rows.with_columns(account.alias("account"), pl.col("time_dt").dt.strftime("%Y%m%d").alias("day"))
    for values, part in parted.partition_by(keys, as_dict=True, maintain_order=True).items():
        folder = out.joinpath(*(f"{key}={value}" for key, value in zip(keys, values, strict=True)))
        folder.mkdir(parents=True)
        part.drop("account", "day").write_parquet(folder / "events.parquet", compression="zstd", compression_level=1)
    return rows.height
