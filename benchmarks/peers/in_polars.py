"""The mappings of `ways` in Polars, with the columns of the SQL: what is not there either is left out here, too."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import polars as pl

from ocsflake.mappers.aws import cloudtrail as table
from ocsflake.mappers.aws import vpc_flow as flow
from ocsflake.mappers.gcp import audit
from ocsflake.mappers.gcp._audit_log import CODES

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
FRACTION = "%Y-%m-%dT%H:%M:%S%.fZ"
AUDIT: dict[str, Any] = {
    **dict.fromkeys(["insertId", "timestamp", "receiveTimestamp", "severity", "logName"], TEXT),
    "resource": pl.Struct({"type": TEXT, "labels": pl.Struct({"project_id": TEXT, "zone": TEXT})}),
    "protoPayload": pl.Struct(
        {
            "status": pl.Struct({"code": pl.Int32, "message": TEXT}),
            "authenticationInfo": pl.Struct({"principalEmail": TEXT, "principalSubject": TEXT}),
            "requestMetadata": pl.Struct({"callerIp": TEXT, "callerSuppliedUserAgent": TEXT}),
            **dict.fromkeys(["serviceName", "methodName", "resourceName", "request", "response"], TEXT),
            "authorizationInfo": pl.List(pl.Struct({"permission": TEXT, "granted": pl.Boolean})),
        }
    ),
}
WORD = f"({'|'.join(sorted(audit.ACTIVITY, key=len, reverse=True))})[^./]*$"
SIGN_IN: dict[str, Any] = {
    **dict.fromkeys(["time", "category", "operationVersion", "tenantId"], TEXT),
    "durationMs": pl.Int64,
    "properties": pl.Struct(
        {
            **dict.fromkeys(
                [
                    *("id", "createdDateTime", "userId", "userPrincipalName", "userDisplayName", "appId"),
                    *("appDisplayName", "resourceId", "resourceDisplayName", "userType", "ipAddress", "userAgent"),
                    *("sessionId", "correlationId", "authenticationRequirement"),
                ],
                TEXT,
            ),
            "status": pl.Struct({"errorCode": pl.Int64, "failureReason": TEXT, "additionalDetails": TEXT}),
            "deviceDetail": pl.Struct(dict.fromkeys(["deviceId", "displayName", "operatingSystem"], TEXT)),
            "location": pl.Struct(
                {
                    **dict.fromkeys(["city", "state", "countryOrRegion"], TEXT),
                    "geoCoordinates": pl.Struct({"latitude": pl.Float64, "longitude": pl.Float64}),
                }
            ),
        }
    ),
}


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


def gcp_audit(files: list[Path], out: Path) -> int:
    """Map audit logs of Google Cloud."""
    status, who, caller = (pl.col(name).struct for name in ("status", "authenticationInfo", "requestMetadata"))
    project, place = (pl.col("labels").struct.field(name) for name in ("project_id", "zone"))
    address, email = caller.field("callerIp"), who.field("principalEmail")
    is_ip = address.str.contains("^[0-9.]+$|:")
    code = status.field("code")
    logged = pl.col("receiveTimestamp").str.to_datetime(FRACTION, time_unit="ms")
    product = [
        pl.lit("Cloud Audit Logs").alias("name"),
        pl.lit("Google Cloud").alias("vendor_name"),
        pl.struct(pl.col("logName").str.extract(r"cloudaudit\.googleapis\.com(?:%2F|/)([a-z_]+)$").alias("name")).alias(
            "feature"
        ),
    ]
    allowed = pl.when(pl.element().struct.field("granted").fill_null(value=False)).then(pl.lit("allowed"))
    authorizations = pl.col("authorizationInfo").list.eval(
        pl.struct(
            allowed.otherwise(pl.lit("denied")).alias("decision"),
            pl.struct(pl.element().struct.field("permission").alias("name")).alias("policy"),
        )
    )
    rows = (
        pl.concat([pl.read_ndjson(path, schema=AUDIT) for path in files])
        .with_columns(pl.col("timestamp").str.to_datetime(FRACTION, time_unit="ms").alias("time_dt"))
        .unnest("protoPayload", "resource")
        .with_columns(
            pl.col("methodName")
            .str.extract(f"(?:^|[./]){WORD}")
            .replace_strict(audit.ACTIVITY, default=99, return_dtype=pl.Int64)
            .alias("activity_id")
        )
        .select(
            pl.lit(6003).alias("class_uid"),
            pl.lit(6).alias("category_uid"),
            "activity_id",
            (pl.col("activity_id") + 600_300).alias("type_uid"),
            pl.col("time_dt").dt.epoch("ms").alias("time"),
            "time_dt",
            pl.lit(1).alias("severity_id"),
            pl.when(code.is_null()).then(1).otherwise(2).alias("status_id"),
            code.cast(TEXT).alias("status_code"),
            status.field("message").alias("status_detail"),
            pl.struct(
                pl.col("insertId").alias("uid"),
                pl.col("logName").alias("log_name"),
                pl.col("severity").alias("log_level"),
                logged.dt.epoch("ms").alias("logged_time"),
                logged.alias("logged_time_dt"),
                pl.col("timestamp").alias("original_time"),
                pl.lit("1.1.0").alias("version"),
                pl.lit(["cloud", "datetime"]).alias("profiles"),
                pl.struct(product).alias("product"),
            ).alias("metadata"),
            pl.struct(
                pl.lit("GCP").alias("provider"),
                pl.struct(project.alias("uid"), pl.lit("GCP Project").alias("type"), pl.lit(99).alias("type_id")).alias(
                    "account"
                ),
                project.alias("project_uid"),
                place.str.extract("^([a-z]+-[a-z]+[0-9]+)-[a-z0-9]+$").alias("region"),
                place.alias("zone"),
            ).alias("cloud"),
            pl.struct(
                pl.col("methodName").alias("operation"),
                pl.struct(pl.col("serviceName").alias("name")).alias("service"),
                pl.struct(pl.col("insertId").alias("uid"), pl.col("request").alias("data")).alias("request"),
                pl.struct(
                    pl.col("response").alias("data"),
                    code.alias("code"),
                    code.cast(TEXT).replace_strict(CODES, default=None).alias("error"),
                    status.field("message"),
                ).alias("response"),
            ).alias("api"),
            pl.struct(
                pl.struct(
                    email.alias("name"),
                    email.alias("email_addr"),
                    who.field("principalSubject").alias("uid"),
                    pl.when(email.str.ends_with(".gserviceaccount.com")).then(99).otherwise(1).alias("type_id"),
                ).alias("user"),
                authorizations.alias("authorizations"),
            ).alias("actor"),
            pl.struct(pl.when(is_ip).then(address).alias("ip"), pl.when(~is_ip).then(address).alias("name")).alias(
                "src_endpoint"
            ),
            pl.struct(caller.field("callerSuppliedUserAgent").alias("user_agent")).alias("http_request"),
            pl.concat_list(pl.struct(pl.col("resourceName").alias("uid"), pl.col("type"))).alias("resources"),
        )
        .sort("time", maintain_order=True)
    )
    return _write(rows, ["account", "day"], out)


def azure_signin(files: list[Path], out: Path) -> int:
    """Map sign-ins of Entra."""
    status, device, place = (pl.col(name).struct for name in ("status", "deviceDetail", "location"))
    spot = place.field("geoCoordinates").struct
    logged = pl.col("time").str.to_datetime(FRACTION, time_unit="ms")
    rows = (
        pl.concat([pl.read_ndjson(path, schema=SIGN_IN) for path in files])
        .unnest("properties")
        .with_columns(pl.col("createdDateTime").str.to_datetime(FRACTION, time_unit="ms").alias("time_dt"))
        .select(
            pl.lit(3002).alias("class_uid"),
            pl.lit(3).alias("category_uid"),
            pl.lit(1).alias("activity_id"),
            pl.lit(300_201).alias("type_uid"),
            pl.col("time_dt").dt.epoch("ms").alias("time"),
            "time_dt",
            pl.lit(1).alias("severity_id"),
            pl.when(status.field("errorCode") == 0).then(1).otherwise(2).alias("status_id"),
            status.field("errorCode").cast(TEXT).alias("status_code"),
            status.field("failureReason").alias("status_detail"),
            status.field("additionalDetails").alias("message"),
            pl.col("durationMs").alias("duration"),
            pl.struct(
                pl.col("id").alias("uid"),
                pl.col("correlationId").alias("correlation_uid"),
                pl.col("tenantId").alias("tenant_uid"),
                pl.col("category").alias("log_name"),
                logged.dt.epoch("ms").alias("logged_time"),
                logged.alias("logged_time_dt"),
                pl.lit("1.1.0").alias("version"),
                pl.lit(["cloud", "datetime"]).alias("profiles"),
                pl.struct(
                    pl.lit("Microsoft Entra ID").alias("name"),
                    pl.lit("Microsoft").alias("vendor_name"),
                    pl.col("operationVersion").alias("version"),
                    pl.struct(pl.col("category").alias("name")).alias("feature"),
                ).alias("product"),
            ).alias("metadata"),
            pl.struct(
                pl.lit("Azure").alias("provider"),
                pl.struct(
                    pl.col("tenantId").alias("uid"), pl.lit("Entra Tenant").alias("type"), pl.lit(99).alias("type_id")
                ).alias("account"),
            ).alias("cloud"),
            pl.struct(
                pl.col("userId").alias("uid"),
                pl.col("userPrincipalName").alias("name"),
                pl.col("userPrincipalName").alias("email_addr"),
                pl.col("userDisplayName").alias("full_name"),
                pl.col("userType").alias("type"),
                pl.lit(1).alias("type_id"),
            ).alias("user"),
            pl.struct(pl.col("appId").alias("uid"), pl.col("appDisplayName").alias("name")).alias("service"),
            pl.struct(pl.col("resourceId").alias("uid"), pl.col("resourceDisplayName").alias("svc_name")).alias(
                "dst_endpoint"
            ),
            pl.struct(
                pl.col("ipAddress").alias("ip"),
                device.field("deviceId").alias("uid"),
                device.field("displayName").alias("name"),
                pl.struct(device.field("operatingSystem").alias("name"), pl.lit(100).alias("type_id")).alias("os"),
                pl.struct(
                    place.field("city"),
                    place.field("state").alias("region"),
                    place.field("countryOrRegion").alias("country"),
                    pl.concat_list(spot.field("longitude"), spot.field("latitude")).alias("coordinates"),
                ).alias("location"),
            ).alias("src_endpoint"),
            pl.struct(pl.col("userAgent").alias("user_agent")).alias("http_request"),
            pl.struct(pl.col("sessionId").alias("uid")).alias("session"),
            (pl.col("authenticationRequirement") == "multiFactorAuthentication").alias("is_mfa"),
            pl.lit(0).alias("auth_protocol_id"),
            pl.lit("interactiveUser").alias("logon_type"),
            pl.lit(99).alias("logon_type_id"),
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
