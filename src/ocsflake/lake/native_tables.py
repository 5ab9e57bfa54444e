"""The tables of Security Lake's own sources, as views over what our mappers make of the same logs.

Source version 2 has OCSF 1.1.0, source version 1 has OCSF 1.0.0-rc.2, whose names differ: ``finding`` for
``finding_info``, ``actor.user.uuid`` for ``actor.user.uid``. Columns and types are those that the tables have in Glue
(contract rules 32 and 34); what an event does not have is NULL. Numbers of classes and types are those of the version,
other values are what our mappers write, which is OCSF 1.1.0 or later.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from attrs import field, frozen

from ocsflake.lake.layout import glue_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlglot import exp

    from ocsflake.lake.columns import Shape
    from ocsflake.lake.reading import Path

__all__ = ["NATIVE_TABLES", "NativeTable", "native_name"]


@frozen
class NativeTable:
    """A table of one of Security Lake's own sources.

    Attributes:
        name: With the source version: ``vpc_flow_2_0``.
        log_type: The log type that it holds.
        stem: That of the names of our custom sources with this log type.
        classes: The event classes that it holds.
        columns: A column a line, with its type as Glue has it.
        renamed: Where a value is in our events, by the path in the table, where the two differ.
        where: Which of our events it holds, a condition in SQL; ``""`` for all.
        only: Which events of custom sources of all clouds are of this log type.
    """

    name: str
    log_type: str
    stem: str
    classes: tuple[str, ...]
    columns: str = field(repr=False)
    renamed: Mapping[str, str] = field(factory=dict, repr=False)
    where: str = ""
    only: str = ""

    @property
    def version(self) -> int:
        """The source version."""
        return int(self.name.split("_")[-2])

    def shapes(self) -> Mapping[str, Shape]:
        """Return the types of the columns by name."""
        return _shapes(self.columns)

    def places(self, path: Path) -> Iterable[Path]:
        """Yield where the value of a path in the table may be in our events."""
        for length in range(len(path), 0, -1):
            if ours := self.renamed.get(".".join(path[:length])):
                for other in ours.split():
                    yield (*other.split("."), *path[length:])
                return
        yield path

    def reads(self, paths: Iterable[Path]) -> frozenset[Path]:
        """Return what of our events a statement may read that names some paths of the table."""
        found = set(_ALWAYS)
        for tail in (path[start:] for path in paths for start in range(len(path))):
            found.update(self.places(tail))
            for name, ours in self.renamed.items():
                if tuple(name.split("."))[: len(tail)] == tail:
                    found.update(tuple(other.split(".")) for other in ours.split())
        return frozenset(found)

    def made(self, event_class: str, there: Mapping[str, Shape]) -> Mapping[Path, str]:
        """Return SQL for what is computed of events of a class that have some columns, by path in the table."""
        made: dict[Path, str] = {}
        if self.log_type == "aws.route53_resolver" and "answers" in there:
            made["answers",] = "coalesce(answers, [])"  # no answer is an empty list in this table
        if self.version > 1:
            return made
        made["metadata", "version"] = "'1.0.0-rc.2'"
        if self.name.startswith("sh_findings"):
            made |= {
                ("class_uid",): "2001",
                ("class_name",): "'Security Finding'",
                ("category_uid",): "2",
                ("category_name",): "'Findings'",
                ("type_uid",): "200100 + activity_id",
                ("type_name",): "'Security Finding: ' || activity_name",
                ("metadata", "product", "name"): "'Security Hub'",
            }
        elif self.log_type == "aws.cloudtrail":
            made |= {("category_uid",): "3", ("category_name",): "'Audit Activity'"}
            if event_class == "api_activity":
                made |= {("class_uid",): "3005", ("type_uid",): "300500 + activity_id"}
        return made


def native_name(region: str, table: str) -> str:
    """Return the name of a table in Glue, without that of its database."""
    return f"{glue_database(region).replace('_glue_db_', '_table_')}_{table}"


_WORDS = {"INT": "INTEGER", "TEXT": "VARCHAR"}
"""What DuckDB calls types that sqlglot writes otherwise."""


@functools.cache
def _shapes(columns: str) -> Mapping[str, Shape]:
    from sqlglot import exp

    found = {}
    for line in columns.split("\n"):
        name, _, kind = line.strip().partition(" ")
        if name:
            found[name] = _shape(exp.DataType.build(kind.strip(), dialect="hive"))
    return found


def _shape(kind: exp.DataType) -> Shape:
    from sqlglot import exp

    types = exp.DataType.Type
    if kind.this == types.STRUCT:
        return {inner.name: _shape(inner.args["kind"]) for inner in kind.expressions}
    if kind.this in {types.ARRAY, types.LIST}:
        return [_shape(kind.expressions[0])]
    if kind.this in {types.TIMESTAMP, types.TIMESTAMPTZ}:
        return "TIMESTAMP WITH TIME ZONE"
    text = kind.sql("duckdb")
    return _WORDS.get(text, text.replace("TEXT", "VARCHAR"))


_EVENT = """
    class_name string
    class_uid int
    category_name string
    category_uid int
    severity_id int
    severity string
    activity_name string
    activity_id int
    type_uid bigint
    type_name string
    unmapped map<string,string>
    accountid string
    region string
"""
_TIME_1 = """
    time bigint
    eventday string
"""
_TIME_2 = """
    time bigint
    time_dt timestamp
    asl_version string
    observables array<struct<name:string,value:string,type:string,type_id:int>>
"""

_CLOUDTRAIL = """
    http_request struct<user_agent:string>
    dst_endpoint struct<svc_name:string>
    src_endpoint struct<uid:string,ip:string,domain:string>
    cloud struct<region:string,provider:string>
    status string
"""
_CLOUDTRAIL_1 = f"""
    metadata struct<product:struct<version:string,name:string,vendor_name:string,feature:struct<name:string>>,\
uid:string,profiles:array<string>,version:string>
    api struct<response:struct<error:string,message:string>,operation:string,version:string,\
service:struct<name:string>,request:struct<uid:string>>
    actor struct<user:struct<type:string,name:string,uid:string,uuid:string,account_uid:string,credential_uid:string>,\
session:struct<created_time:bigint,mfa:boolean,issuer:string>,invoked_by:string,idp:struct<name:string>>
    resources array<struct<uid:string,account_uid:string,type:string>>
    user struct<uid:string,uuid:string,name:string>
    status_id int
    mfa boolean
{_CLOUDTRAIL}{_EVENT}{_TIME_1}"""
_CLOUDTRAIL_2 = f"""
    metadata struct<product:struct<version:string,name:string,vendor_name:string,feature:struct<name:string>>,\
event_code:string,uid:string,profiles:array<string>,version:string>
    api struct<response:struct<error:string,message:string,data:string>,operation:string,version:string,\
service:struct<name:string>,request:struct<data:string,uid:string>>
    actor struct<user:struct<type:string,name:string,uid_alt:string,uid:string,account:struct<uid:string>,\
credential_uid:string>,session:struct<created_time_dt:timestamp,is_mfa:boolean,issuer:string>,invoked_by:string,\
idp:struct<name:string>>
    session struct<uid:string,uid_alt:string,credential_uid:string,issuer:string>
    policy struct<uid:string>
    resources array<struct<uid:string,owner:struct<account:struct<uid:string>>,type:string>>
    user struct<uid_alt:string,uid:string,name:string>
    is_mfa boolean
{_CLOUDTRAIL}{_EVENT}{_TIME_2}"""

_ENDPOINT = "port:int,svc_name:string,ip:string,intermediate_ips:array<string>,interface_uid:string,vpc_uid:string,\
instance_uid:string,subnet_uid:string"
_FLOW = f"""
    metadata struct<product:struct<version:string,name:string,feature:struct<name:string>,vendor_name:string>,\
profiles:array<string>,version:string>
    src_endpoint struct<{_ENDPOINT}>
    dst_endpoint struct<{_ENDPOINT}>
    connection_info struct<protocol_num:int,tcp_flags:int,protocol_ver:string,boundary_id:int,boundary:string,\
direction_id:int,direction:string>
    traffic struct<packets:bigint,bytes:bigint>
    status_code string
    disposition string
"""
_VPC_FLOW_1 = f"""
    cloud struct<account_uid:string,region:string,zone:string,provider:string>
    start_time bigint
    end_time bigint
    disposition_id int
{_FLOW}{_EVENT}{_TIME_1}"""
_VPC_FLOW_2 = f"""
    cloud struct<account:struct<uid:string>,region:string,zone:string,provider:string>
    start_time_dt timestamp
    end_time_dt timestamp
    action string
    action_id int
{_FLOW}{_EVENT}{_TIME_2}"""

_DNS = """
    metadata struct<product:struct<version:string,name:string,feature:struct<name:string>,vendor_name:string>,\
profiles:array<string>,version:string>
    src_endpoint struct<vpc_uid:string,ip:string,port:int,instance_uid:string>
    dst_endpoint struct<instance_uid:string,interface_uid:string>
    query struct<hostname:string,type:string,class:string>
    answers array<struct<type:string,rdata:string,class:string>>
    connection_info struct<protocol_name:string,direction:string,direction_id:int>
    rcode_id int
    rcode string
    disposition string
"""
_ROUTE53_1 = f"""
    cloud struct<account_uid:string,region:string,provider:string>
    disposition_id int
{_DNS}{_EVENT}{_TIME_1}"""
_ROUTE53_2 = f"""
    cloud struct<account:struct<uid:string>,region:string,provider:string>
    firewall_rule struct<uid:string>
    action string
    action_id int
{_DNS}{_EVENT}{_TIME_2}"""

_SH_FINDINGS_1 = f"""
    metadata struct<product:struct<version:string,feature:struct<uid:string,name:string>,uid:string,\
vendor_name:string,name:string>,profiles:array<string>,version:string>
    confidence int
    message string
    cloud struct<account_uid:string,region:string,provider:string>
    resources array<struct<type:string,uid:string,cloud_partition:string,region:string,labels:array<string>,\
details:string,criticality:string>>
    finding struct<created_time:bigint,uid:string,desc:string,title:string,modified_time:bigint,\
first_seen_time:bigint,last_seen_time:bigint,related_events:array<struct<product_uid:string,uid:string>>,\
types:array<string>,remediation:struct<desc:string,kb_articles:array<string>>,src_url:string>
    compliance struct<requirements:array<string>,status:string,status_detail:string>
    vulnerabilities array<struct<cve:struct<cvss:struct<base_score:double,vector_string:string,version:string>,\
uid:string,created_time:bigint,modified_time:bigint>,kb_articles:array<string>,references:array<string>,\
related_vulnerabilities:array<string>,vendor_name:string,packages:array<struct<architecture:string,epoch:int,\
name:string,release:string,version:string>>>>
    state string
    state_id int
{_EVENT}{_TIME_1}"""

_FILE = "file:struct<path:string,name:string,type_id:int,hashes:array<struct<value:string,algorithm_id:int,\
algorithm:string>>>"
_PLACE = "location:struct<city:string,country:string,coordinates:array<double>>"
_RESOURCE = "type:string,uid:string,cloud_partition:string,region:string,labels:array<string>,data:string,\
criticality:string"
_SH_FINDINGS_2 = f"""
    metadata struct<log_version:string,product:struct<feature:struct<uid:string,name:string>,uid:string,name:string,\
vendor_name:string,version:string>,processed_time_dt:timestamp,profiles:array<string>,version:string,\
extensions:array<struct<name:string,uid:string,version:string>>>
    confidence_score int
    message string
    cloud struct<account:struct<uid:string>,region:string,provider:string>
    resource struct<{_RESOURCE}>
    resources array<struct<{_RESOURCE},owner:struct<account:struct<uid:string>>>>
    finding_info struct<created_time_dt:timestamp,uid:string,desc:string,title:string,modified_time_dt:timestamp,\
first_seen_time_dt:timestamp,last_seen_time_dt:timestamp,related_events:array<struct<product_uid:string,uid:string>>,\
types:array<string>,src_url:string>
    remediation struct<desc:string,references:array<string>>
    compliance struct<standards:array<string>,requirements:array<string>,control:string,status:string,\
status_detail:string,status_code:string>
    vulnerabilities array<struct<remediation:struct<desc:string,references:array<string>>,cve:struct<\
cvss:array<struct<base_score:double,vector_string:string,version:string>>,uid:string,epss:struct<score:string>,\
references:array<string>,created_time_dt:timestamp,modified_time_dt:timestamp>,references:array<string>,\
related_vulnerabilities:array<string>,vendor_name:string,affected_packages:array<struct<architecture:string,epoch:int,\
path:string,fixed_in_version:string,name:string,package_manager:string,release:string,remediation:struct<desc:string>,\
version:string>>,cwe:struct<uid:string>,affected_code:array<struct<end_line:int,file:struct<name:string,path:string,\
uid:string,type_id:int>,start_line:int>>,is_fix_available:boolean,is_exploit_available:boolean>>
    evidences array<struct<data:string,actor:struct<process:struct<created_time_dt:timestamp,name:string,pid:int,\
uid:string,user:struct<name:string,uid:string>,cmd_line:string,parent_process:struct<uid:string>,{_FILE},euid:int>>,\
api:struct<operation:string,response:struct<error:string,code:int>,service:struct<name:string>>,\
src_endpoint:struct<ip:string,{_PLACE},port:int>,connection_info:struct<protocol_name:string,direction_id:int,\
direction:string>,dst_endpoint:struct<ip:string,port:int,{_PLACE}>,query:struct<hostname:string>>>
    status string
{_EVENT}{_TIME_2}"""

_CONTAINERS = "containers:array<struct<name:string,image:struct<name:string,path:string,uid:string>>>"
_EKS_AUDIT_2 = f"""
    metadata struct<log_level:string,product:struct<version:string,vendor_name:string,name:string,\
feature:struct<name:string>>,profiles:array<string>,version:string>
    api struct<request:struct<uid:string,{_CONTAINERS}>,operation:string,version:string,response:struct<code:int,\
message:string,error:string,error_message:string,{_CONTAINERS}>,group:struct<name:string>>
    message string
    http_request struct<url:struct<path:string>,user_agent:string>
    actor struct<user:struct<name:string,uid:string,groups:array<struct<name:string>>,type_id:int>,\
session:struct<credential_uid:string,issuer:string,uid:string>>
    cloud struct<account:struct<uid:string>,provider:string>
    src_endpoint struct<ip:string,intermediate_ips:array<string>>
    resources array<struct<namespace:string,name:string,uid:string,version:string,type:string>>
    start_time_dt timestamp
{_EVENT}{_TIME_2}"""

_WAF_2 = f"""
    metadata struct<product:struct<feature:struct<uid:string>,version:string,vendor_name:string,name:string>,\
labels:array<string>,profiles:array<string>,version:string>
    src_endpoint struct<svc_name:string,uid:string,ip:string,location:struct<country:string>>
    http_request struct<url:struct<path:string,hostname:string>,version:string,http_method:string,uid:string,\
args:string,http_headers:array<struct<name:string,value:string>>,user_agent:string,x_forwarded_for:array<string>,\
referrer:string>
    firewall_rule struct<uid:string,type:string,condition:string,match_location:string,match_details:array<string>,\
rate_limit:int>
    http_status int
    cloud struct<provider:string>
    action string
    action_id int
    disposition string
    disposition_id int
{_EVENT}{_TIME_2}"""

_NAMES = {"cloud.account_uid": "cloud.account.uid"}
_WAF = {"http_status": "http_status http_response.code"}
_NAMES_1 = {
    **_NAMES,
    "actor.session.mfa": "actor.session.is_mfa",
    "actor.user.account_uid": "actor.user.account.uid",
    "actor.user.uid": "actor.user.uid_alt",
    "actor.user.uuid": "actor.user.uid",
    "mfa": "is_mfa",
    "resources.account_uid": "resources.owner.account.uid",
    "user.uid": "user.uid_alt",
    "user.uuid": "user.uid",
}
_FINDINGS_1 = {
    **_NAMES,
    "confidence": "confidence_score",
    "finding": "finding_info",
    "finding.remediation": "remediation",
    "finding.remediation.kb_articles": "remediation.references",
    "metadata.product.feature.name": "metadata.product.name",
    "metadata.product.version": "metadata.log_version",
    "resources": "resources resource",
    "resources.details": "resources.data resource.data",
    "state": "status",
    "state_id": "status_id",
    "vulnerabilities.kb_articles": "vulnerabilities.remediation.references",
    "vulnerabilities.packages": "vulnerabilities.affected_packages",
}

_ALWAYS: frozenset[Path] = frozenset(
    {("activity_id",), ("activity_name",), ("answers",), ("api", "service"), ("metadata", "product")}
)
"""What conditions and computed columns are made of."""
_CATEGORY = "struct_extract(struct_extract(struct_extract(metadata, 'product'), 'feature'), 'name')"
_SERVICE = "struct_extract(struct_extract(api, 'service'), 'name')"
_PRODUCT = "struct_extract(struct_extract(metadata, 'product'), 'name')"
_PRODUCT_UID = "struct_extract(struct_extract(metadata, 'product'), 'uid')"
_MANAGEMENT = f"coalesce({_CATEGORY}, '') NOT IN ('Data', 'Insight', 'NetworkActivity')"
_FINDINGS = ("vulnerability_finding", "compliance_finding", "detection_finding")
_TRAIL = ("api_activity", "authentication", "account_change")


def _tables() -> Iterable[NativeTable]:
    trail, only = ("aws.cloudtrail", "aws_cloudtrail"), f"{_PRODUCT} = 'CloudTrail'"
    for name, classes, where in (
        ("cloud_trail_mgmt", _TRAIL, _MANAGEMENT),
        ("s3_data", ("api_activity",), f"{_CATEGORY} = 'Data' AND {_SERVICE} = 's3.amazonaws.com'"),
        ("lambda_execution", ("api_activity",), f"{_CATEGORY} = 'Data' AND {_SERVICE} = 'lambda.amazonaws.com'"),
    ):
        yield NativeTable(f"{name}_1_0", *trail, classes, _CLOUDTRAIL_1, _NAMES_1, where, only)
        yield NativeTable(f"{name}_2_0", *trail, classes, _CLOUDTRAIL_2, {}, where, only)
    others = (
        ("vpc_flow_1_0", "aws.vpc_flow", "aws_vpc_flow", ("network_activity",), _VPC_FLOW_1, "Amazon VPC"),
        ("vpc_flow_2_0", "aws.vpc_flow", "aws_vpc_flow", ("network_activity",), _VPC_FLOW_2, "Amazon VPC"),
        ("route53_1_0", "aws.route53_resolver", "aws_route53_dns", ("dns_activity",), _ROUTE53_1, "Route 53"),
        ("route53_2_0", "aws.route53_resolver", "aws_route53_dns", ("dns_activity",), _ROUTE53_2, "Route 53"),
        ("eks_audit_2_0", "aws.eks_audit", "aws_eks_audit", ("api_activity",), _EKS_AUDIT_2, "Amazon EKS"),
        ("waf_2_0", "aws.waf", "aws_waf", ("http_activity",), _WAF_2, "AWS WAF"),
    )
    for name, log_type, stem, classes, columns, product in others:
        only = f"{_PRODUCT} = '{product}'"
        yield NativeTable(name, log_type, stem, classes, columns, _NAMES if name.endswith("_1_0") else _WAF, "", only)
    hub, only = ("aws.securityhub", "aws_securityhub", _FINDINGS), f"{_PRODUCT_UID} LIKE 'arn:aws%:securityhub:%'"
    yield NativeTable("sh_findings_1_0", *hub, _SH_FINDINGS_1, _FINDINGS_1, "", only)
    yield NativeTable("sh_findings_2_0", *hub, _SH_FINDINGS_2, {}, "", only)


NATIVE_TABLES: Mapping[str, NativeTable] = {table.name: table for table in _tables()}
"""By name."""
