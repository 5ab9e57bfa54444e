"""Findings that are OCSF already, as the new Security Hub gives them: attributes that are passed on as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers.aws._findings import times
from ocsflake.mapping import Expr, Fields, apply, at

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COMPLIANCE", "DATA", "DETECTION", "FINDING", "VULNERABILITY", "passed_or"]


def _below(place: str, names: str) -> tuple[str, ...]:
    return tuple(f"{place}.{name}" for name in names.split())


_ENDPOINT = "ip port hostname name uid domain svc_name instance_uid location.city location.country "
_ENDPOINT += "autonomous_system.name autonomous_system.number owner.account.uid"
_PROCESS = "name pid uid cmd_line created_time file.name file.path file.type_id parent_process.uid user.name user.uid"

FINDING = (
    *("time", "activity_id", "severity_id", "status_id", "status_code", "status_detail", "confidence_score"),
    *("confidence_id", "count", "message", "comment", "start_time", "end_time"),
    *("vendor_attributes.severity", "vendor_attributes.severity_id"),
    *_below("cloud", "provider region zone cloud_partition account.uid account.name account.type_id org.uid org.name"),
    *_below("metadata", "uid correlation_uid event_code log_name log_provider log_version logged_time processed_time"),
    *_below("metadata.product", "name uid vendor_name version feature.name feature.uid"),
    *_below("finding_info", "uid uid_alt title desc types[] src_url product_uid product.name product.uid"),
    *_below("finding_info", "created_time modified_time first_seen_time last_seen_time data_sources[]"),
    *_below("finding_info.analytic", "name uid type_id category desc version"),
    *_below("finding_info.tags[]", "name value"),
    *_below("finding_info.traits[]", "name uid type category values[]"),
    *_below("finding_info.related_events[]", "uid title desc type product.name product.uid product_uid severity_id"),
    *_below("finding_info.related_events[]", "created_time modified_time first_seen_time last_seen_time"),
    *_below("finding_info.related_events[].tags[]", "name value"),
    *_below("finding_info.related_events[].traits[]", "name uid type category values[]"),
    "finding_info.related_events_count",
    *_below("resources[]", "uid uid_alt name type region zone cloud_partition namespace version labels[] data"),
    *_below("resources[]", "criticality created_time modified_time role_id provider hostname ip"),
    *_below("resources[].owner", "name uid account.uid account.name org.uid org.name"),
    *_below("resources[].tags[]", "name value"),
)
REMEDIATION = ("remediation.desc", "remediation.references[]")
COMPLIANCE = (
    *_below("compliance", "control category desc status_id status_code status_details[] standards[] requirements[]"),
    *_below("compliance.assessments[]", "name uid category desc meets_criteria"),
    *_below("compliance.control_parameters[]", "name value values[]"),
    *REMEDIATION,
)
VULNERABILITY = (
    *_below("vulnerabilities[]", "title desc category severity vendor_name references[] related_vulnerabilities[]"),
    *_below("vulnerabilities[]", "is_fix_available fix_coverage_id is_exploit_available exploit_last_seen_time"),
    *_below("vulnerabilities[]", "first_seen_time last_seen_time remediation.desc remediation.references[]"),
    *_below("vulnerabilities[].cve", "uid title desc type references[] created_time modified_time"),
    *_below("vulnerabilities[].cve.epss", "score percentile version created_time"),
    *_below("vulnerabilities[].cve.cvss[]", "base_score overall_score version vector_string severity vendor_name"),
    *_below("vulnerabilities[].cve.related_cwes[]", "uid caption src_url"),
    *_below("vulnerabilities[].cwe", "uid caption src_url"),
    *_below("vulnerabilities[].affected_packages[]", "name version epoch release architecture package_manager path"),
    *_below("vulnerabilities[].affected_packages[]", "fixed_in_version purl uid vendor_name type_id remediation.desc"),
    *_below("vulnerabilities[].affected_code[]", "file.name file.path file.type_id start_line end_line"),
)
DETECTION = (
    *_below("evidences[]", "data name uid query.hostname url.url_string"),
    *_below("evidences[].api", "operation service.name version response.code response.error response.error_message"),
    *_below("evidences[].actor", "user.name user.uid user.uid_alt user.type_id user.credential_uid user.account.uid"),
    *_below("evidences[].actor", "session.uid session.is_mfa session.issuer session.created_time app_name"),
    *_below("evidences[].actor.process", _PROCESS),
    *_below("evidences[].process", _PROCESS),
    *_below("evidences[].connection_info", "direction_id protocol_name protocol_num"),
    *_below("evidences[].src_endpoint", _ENDPOINT),
    *_below("evidences[].dst_endpoint", _ENDPOINT),
    *_below("evidences[].http_request", "user_agent http_method url.url_string"),
    *_below("finding_info.attacks[]", "tactic.name tactic.uid technique.name technique.uid version"),
    *REMEDIATION,
)
DATA = (
    *_below("databucket", "uid uid_alt name type type_id size is_public is_encrypted"),
    *_below("databucket.tags[]", "name value"),
    *_below("data_security", "category_id confidentiality_id data_lifecycle_state_id detection_pattern total uid"),
)


def passed_or(fields: Fields, attributes: Iterable[str]) -> Fields:
    """Return a table that passes attributes on, and makes those that a record does not have as another table says.

    Args:
        fields: That other table.
        attributes: What is passed on, lists of text with ``[]``. OCSF before 1.3 has one resource in some classes:
            where the other table fills ``resource``, that is the first of the list.
    """
    single = "resource.uid" in fields
    raw = {path.removesuffix("[]"): path for path in attributes if not (single and path.startswith("resources[]."))}
    raw |= {path: path.replace("resource.", "resources[].", 1) for path in fields if path.startswith("resource.")}
    passed = {path: _passed(raw.get(path, path)) for path in (*fields, *raw)}
    return {path: value.or_(fields[path]) if path in fields else value for path, value in passed.items()}


def _passed(path: str) -> Expr:
    return apply(times, at(path, f"{path}_dt")) if path == "time" or path.endswith("_time") else at(path)
