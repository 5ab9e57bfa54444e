"""Microsoft Defender to Detection Finding 2004, Compliance Finding 2003, Vulnerability Finding 2002, Incident 2005.

Alerts: rows of the table ``SecurityAlert``, alerts of Defender for Cloud (ARM objects, continuous export to Event
Hubs), of Defender XDR (``alert`` objects of Microsoft Graph, of the Defender for Endpoint API, ``AlertInfo`` of the
streaming API). Assessments and sub-assessments of Defender for Cloud and the tables ``SecurityRecommendation`` and
``SecurityNestedRecommendation``. Incidents of Microsoft Graph and of Sentinel (``SecurityIncident``, ARM objects).

The fields: https://learn.microsoft.com/azure/defender-for-cloud/alerts-schemas,
https://learn.microsoft.com/graph/api/resources/security-alert and
https://learn.microsoft.com/azure/azure-monitor/reference/tables/securityincident
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers._address import host
from ocsflake.mappers._words import any_case
from ocsflake.mappers.azure._entities import percent, resolved, steps, tactics, technique_names, techniques
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS, RECORDS, digest, first, subscription
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, when

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

SEVERITY = any_case(
    {"Informational": 1, "Low": 2, "Medium": 3, "High": 4, "Critical": 5, "UnSpecified": 0, "Unknown": 0}
)
STATUS = any_case(
    {"New": 1, "Active": 1, "InProgress": 2, "Dismissed": 3, "Resolved": 4, "Closed": 4, "Unknown": 0}
) | {"inProgress": 2}
ACTIVITY = any_case({"InProgress": 2, "Dismissed": 3, "Resolved": 3, "Closed": 3}) | {"inProgress": 2}
"""An alert is made, worked on, and closed; it is sent again each time under the same id."""
INCIDENT_STATUS = {
    "New": 1,
    "Active": 2,
    "Closed": 5,
    "active": 1,
    "inProgress": 2,
    "resolved": 4,
    "redirected": 5,
}
"""Sentinel calls an incident Active once someone works on it; Graph calls a new one active."""
VERDICT = {
    "Undetermined": 7,
    "BenignPositive": 5,
    "FalsePositive": 1,
    "TruePositive": 2,
    "unknown": 0,
    "falsePositive": 1,
    "truePositive": 2,
    "informationalExpectedActivity": 5,
}
CONFIDENCE = any_case({"Unknown": 0, "Low": 1, "Medium": 2, "High": 3})
COMPLIANCE = any_case({"Healthy": 1, "Passed": 1, "Unhealthy": 3, "Failed": 3})
OUTCOME = any_case({"Healthy": 4, "Passed": 4, "NotApplicable": 3}) | {"notApplicable": 3}


UNMAPPED = (
    '"@odata.type"',
    "AdditionalData",
    "BookmarkIds",
    "ClassificationComment",
    "ClassificationReason",
    "ClosedTime",
    "Comments",
    "ConfidenceReasons",
    "DetectionSource",
    "Entities",
    "Environment",
    "ExtendedLinks",
    "ExtendedProperties",
    "FirstModifiedTime",
    "IsIncident",
    "IsSnapshot",
    "Labels",
    "ModifiedBy",
    "NotApplicableReason",
    "ProviderAlertStatus",
    "ProviderIncidentId",
    "ProviderName",
    "RecommendationAdditionalData",
    "RecommendationName",
    "RelatedAnalyticRuleIds",
    "ResourceRegion",
    "SourceComputerId",
    "SubTechniques",
    "Tasks",
    "VendorOriginalId",
    "WorkspaceResourceGroup",
    "actorDisplayName",
    "additionalData",
    "alertPolicyId",
    "alerts",
    "category",
    "comments",
    "customDetails",
    "customTags",
    "detectorId",
    "determination",
    "etag",
    "extendedLinks",
    "extendedProperties",
    "incidentWebUrl",
    "investigationId",
    "investigationState",
    "isIncident",
    "labels",
    "lastModifiedBy",
    "metadata",
    "providerAlertId",
    "providerIncidentId",
    "rbacGroupName",
    "redirectIncidentId",
    "relatedAnalyticRuleIds",
    "relatedUser",
    "resolvedDateTime",
    "resolvedTime",
    "resolvingComment",
    "resourceDetails",
    "resourceIdentifiers",
    "subTechniques",
    "summary",
    "supportingEvidence",
    "systemTags",
    "threatDisplayName",
    "threatFamilyName",
    "type",
    "version",
)


def either(*names: str) -> Expr:
    """Return a value of an alert, at the top of the record or in its ``properties``."""
    return at(*(place + name for name in names for place in ("", "properties.")))


def entity(*names: str) -> Expr:
    """Return a value of each entity of an alert, which other shapes call evidence."""
    places = ("Entities[]", "properties.entities[]", "entities[]", "evidence[]", "properties.Entities[]")
    found = [at(f"{place}.{name}".rstrip(".")) for place in places for name in names]
    return found[0].or_(*found[1:])


def of_kind(kind: str, value: Expr) -> Expr:
    """Return a value of the entities of one kind."""
    return value.only_if(entity("Type", "type").lower() == kind)


identifier = at("id").text()
title = either("AlertDisplayName", "alertDisplayName", "DisplayName", "AlertName", "title", "Title")
created = either("createdDateTime", "alertCreationTime", "createdTime", "timeGeneratedUtc", "TimeGenerated")
updated = either("lastUpdateDateTime", "lastUpdateTime", "LastModifiedTime", "lastModifiedTimeUtc")
time = updated.or_(created, either("Timestamp", "timestamp"), at("time"), either("StartTimeUtc", "StartTime"))
severity = either("AlertSeverity", "Severity", "severity").lookup(SEVERITY, default=99).or_(0)
status = either("Status", "status")
category = either("category", "Category").only_if(
    either("category", "Category").extract("^(AdvancedHunting)").is_null()
)
resource_ids = either("AzureResourceId", "ResourceId").or_(
    at("properties.resourceIdentifiers[].azureResourceId"), at("resourceIdentifiers[].azureResourceId")
)
subscribed = subscription(either("AzureResourceId", "ResourceId")).or_(
    subscription(apply(first, at("properties.resourceIdentifiers[].azureResourceId"))),
    subscription(identifier),
    either("AzureResourceSubscriptionId", "WorkspaceSubscriptionId").lower(),
)
tenant = at("tenantId", "aadTenantId", "AadTenantId", "properties.aadTenantId")
attack_names = either("Tactics", "Intent", "intent", "tactics").text()
attack_ids = either("Techniques", "techniques", "mitreTechniques", "AttackTechniques").text()
alert_uid = either("SystemAlertId", "systemAlertId", "AlertId", "alertId").or_(
    at("name"), identifier.extract(r"([^/]+)$"), apply(digest, title, time.text(), at("computerDnsName"))
)

PRODUCT: Fields = {
    "time": time,
    "severity_id": severity,
    "metadata.product.vendor_name": either("VendorName", "vendorName").or_("Microsoft"),
    "metadata.product.name": either("ProductName", "productName").or_(
        either("serviceSource", "ServiceSource"),
        when(at("computerDnsName").is_null(), "Microsoft Defender", "Microsoft Defender for Endpoint"),
    ),
    "metadata.tenant_uid": tenant,
    "cloud.provider": "Azure",
    "cloud.account.uid": subscribed.or_(tenant),
    "cloud.account.type": when(subscribed.is_null(), "Entra Tenant", "Azure Subscription"),
    "cloud.account.type_id": when(subscribed.is_null(), 99, 13),
}
ALERT: Fields = PRODUCT | {
    "activity_id": when(status.is_in(ACTIVITY), status.lookup(ACTIVITY), 1),
    "status_id": status.lookup(STATUS, default=99).or_(0),
    "confidence_id": either("ConfidenceLevel", "confidenceLevel").lookup(CONFIDENCE, default=99),
    "confidence_score": apply(percent, either("ConfidenceScore", "confidenceScore").text()),
    "is_alert": True,
    "message": title,
    "metadata.uid": alert_uid,
    "metadata.processed_time": either("ProcessingEndTime", "processingEndTimeUtc"),
    "metadata.correlation_uid": either("CorrelationKey", "correlationKey", "incidentId").text(),
    "metadata.product.feature.name": either(
        "ProductComponentName", "productComponentName", "detectionSource", "DetectionSource"
    ),
    "finding_info.uid": alert_uid,
    "finding_info.title": title,
    "finding_info.desc": either("Description", "description"),
    "finding_info.types": either("AlertType", "alertType").or_(category),
    "finding_info.created_time": created.or_(time),
    "finding_info.modified_time": updated,
    "finding_info.first_seen_time": either(
        "StartTimeUtc", "startTimeUtc", "StartTime", "firstActivityDateTime", "firstEventTime"
    ),
    "finding_info.last_seen_time": either(
        "EndTimeUtc", "endTimeUtc", "EndTime", "lastActivityDateTime", "lastEventTime"
    ),
    "finding_info.src_url": either("AlertUri", "alertUri", "AlertLink", "alertWebUrl"),
    "finding_info.attacks[].tactic.name": apply(tactics, attack_names, attack_ids),
    "finding_info.attacks[].technique.uid": apply(techniques, attack_names, attack_ids),
    "finding_info.attacks[].technique.name": apply(technique_names, attack_names, attack_ids),
    "remediation.desc": apply(steps, either("RemediationSteps", "remediationSteps", "recommendedActions").text()),
    "resources[].uid": resource_ids,
    "resources[].name": either("CompromisedEntity", "compromisedEntity"),
    "device.hostname": at("computerDnsName"),
    "device.uid": at("machineId"),
    "device.type_id": 0,
    "evidences[].data": apply(resolved, entity("")),
    "evidences[].src_endpoint.ip": host(entity("Address", "address", "ipAddress")),
    "evidences[].actor.user.name": of_kind("account", entity("Name", "name")).or_(
        entity("userAccount.accountName", "accountName")
    ),
    "evidences[].actor.user.domain": entity(
        "UPNSuffix", "upnSuffix", "NTDomain", "ntDomain", "userAccount.domainName", "domainName"
    ),
    "evidences[].actor.user.email_addr": entity("userAccount.userPrincipalName", "userPrincipalName"),
    "evidences[].actor.user.uid": entity("AadUserId", "aadUserId", "userAccount.azureAdUserId"),
    "evidences[].device.hostname": of_kind("host", entity("HostName", "hostName")).or_(
        entity("deviceDnsName", "computerDnsName")
    ),
    "evidences[].device.uid": entity("AzureID", "azureID", "mdeDeviceId"),
    "evidences[].device.type_id": 0,
    "evidences[].process.pid": entity("ProcessId", "processId").text(),
    "evidences[].process.cmd_line": entity("CommandLine", "commandLine", "processCommandLine"),
    "evidences[].file.name": of_kind("file", entity("Name", "name")).or_(entity("fileDetails.fileName", "fileName")),
    "evidences[].file.path": of_kind("file", entity("Directory", "directory")).or_(
        entity("fileDetails.filePath", "filePath")
    ),
    "evidences[].file.type_id": 1,
    "evidences[].url.url_string": entity("Url", "url"),
}

kind = at("type", "Type").lower()
assessed = either("resourceDetails.id", "resourceDetails.Id", "AssessedResourceId", "ResourceDetails.Id")
assessment = either("displayName", "RecommendationDisplayName", "RecommendationName", "metadata.displayName")
remedy = either("metadata.remediationDescription", "remediation", "RemediationDescription")
finding = at("name", "RecommendationId", "properties.id", "Id").or_(identifier.extract(r"([^/]+)$"))
outcome = either("status.code", "RecommendationState", "State")
grade = either("status.severity", "metadata.severity", "RecommendationSeverity").lookup(SEVERITY, default=99).or_(1)
judged = subscription(assessed).or_(subscription(identifier))
flaws = at("properties.additionalData.cve[].title").or_(
    at("AdditionalData.cve[].title"), at("properties.additionalData.data.cve[].title")
)
ASSESSMENT: Fields = PRODUCT | {
    "time": either(
        "timeGenerated", "TimeGenerated", "status.statusChangeDate", "StatusChangeDate", "status.firstEvaluationDate"
    ),
    "severity_id": grade,
    "activity_id": 1,
    "status_id": outcome.lookup(OUTCOME).or_(1),
    "metadata.uid": finding,
    "metadata.product.name": "Microsoft Defender for Cloud",
    "cloud.account.uid": judged,
    "cloud.account.type": "Azure Subscription",
    "cloud.account.type_id": 13,
    "message": assessment,
    "finding_info.uid": finding,
    "finding_info.title": assessment,
    "finding_info.desc": either("metadata.description", "description", "Description"),
    "finding_info.first_seen_time": either("status.firstEvaluationDate", "FirstEvaluationDate"),
    "finding_info.modified_time": either("status.statusChangeDate", "StatusChangeDate"),
    "finding_info.src_url": either("links.azurePortal", "RecommendationLink"),
}
COMPLIANCE_CHECK: Fields = ASSESSMENT | {
    "remediation.desc": remedy,
    "compliance.standards": either("ComplianceStandard").or_("Microsoft cloud security benchmark"),
    "compliance.control": either("ComplianceControl", "PolicyDefinitionId", "metadata.policyDefinitionId").or_(finding),
    "compliance.status_id": outcome.lookup(COMPLIANCE, default=99).or_(0),
    "compliance.status_detail": either("status.description", "status.cause", "NotApplicableReason"),
}
VULNERABILITY: Fields = ASSESSMENT | {
    "vulnerabilities[].cve.uid": flaws,
    "vulnerabilities[].title": assessment,
    "vulnerabilities[].remediation.desc": remedy,
    "vulnerabilities[].desc": either("impact", "Impact"),
    "vulnerabilities[].is_fix_available": either("additionalData.patchable", "AdditionalData.patchable"),
}
ONE_RESOURCE: Fields = {"resource.uid": assessed}
RESOURCES: Fields = {"resources[].uid": assessed}

number = at("IncidentNumber", "properties.incidentNumber").text()
incident_uid = at("IncidentName").or_(at("name").only_if(~number.is_null()), identifier)
incident_title = either("Title", "title", "displayName")
owner = either("Owner.email", "owner.email", "assignedTo", "Owner.userPrincipalName", "owner.userPrincipalName")
owner_name = owner.or_(either("Owner.assignedTo", "owner.assignedTo"))
state = either("Status", "status")
opened = either("CreatedTime", "createdTimeUtc", "createdDateTime")
incident_time = updated.or_(at("TimeGenerated"), opened)
incident_url = either("IncidentUrl", "incidentUrl", "incidentWebUrl")
incident_subscription = incident_url.lower().extract(r"/subscriptions/([^/]+)").or_(subscription(identifier))
incident_account = incident_subscription.or_(tenant)
INCIDENT: Fields = PRODUCT | {
    "time": incident_time,
    "activity_id": when(
        state.lower().is_in(["resolved", "closed", "redirected"]),
        3,
        when(updated.is_null() | (updated == opened), 1, 2),
    ),
    "status_id": state.lookup(INCIDENT_STATUS, default=99).or_(0),
    "metadata.uid": incident_uid,
    "metadata.event_code": number,
    "metadata.product.name": either("ProviderName", "providerName").or_("Microsoft Defender XDR"),
    "cloud.account.uid": incident_account,
    "cloud.account.type": when(incident_subscription.is_null(), "Entra Tenant", "Azure Subscription"),
    "cloud.account.type_id": when(incident_subscription.is_null(), 99, 13),
    "message": incident_title,
    "desc": either("Description", "description"),
    "src_url": incident_url,
    "start_time": either("FirstActivityTime", "firstActivityTimeUtc").or_(opened),
    "end_time": either("LastActivityTime", "lastActivityTimeUtc"),
    "verdict_id": either("Classification", "classification").lookup(VERDICT, default=99),
    "assignee.name": owner_name,
    "assignee.email_addr": owner,
    "assignee.full_name": either("Owner.assignedTo", "owner.assignedTo"),
    "assignee.uid": either("Owner.objectId", "owner.objectId"),
    # OCSF wants someone, or a group, that an incident is assigned to.
    "assignee_group.name": when(owner_name.is_null(), "Unassigned", "").only_if(owner_name.is_null()),
    "finding_info_list[].uid": at("AlertIds[]").or_(at("alerts[].id"), incident_uid),
    "finding_info_list[].title": incident_title,
}

is_incident = ~number.is_null() | (~at("incidentWebUrl").is_null() & at("title").is_null())
is_assessment = ~assessed.is_null() & ~outcome.is_null()
has_flaws = ~flaws.is_null()

MAPPER = Mapper(
    "azure.defender",
    title="Microsoft Defender",
    source_name="azure_defender",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[
        EventMap("incident_finding", where=is_incident, fields=INCIDENT),
        # The resource of a finding is one up to OCSF 1.2, a list since.
        EventMap(
            "vulnerability_finding", where=is_assessment & has_flaws, fields=VULNERABILITY | ONE_RESOURCE, until="1.2.0"
        ),
        EventMap(
            "vulnerability_finding", where=is_assessment & has_flaws, fields=VULNERABILITY | RESOURCES, since="1.3.0"
        ),
        EventMap("compliance_finding", where=is_assessment, fields=COMPLIANCE_CHECK | ONE_RESOURCE, until="1.2.0"),
        EventMap("compliance_finding", where=is_assessment, fields=COMPLIANCE_CHECK | RESOURCES, since="1.3.0"),
        EventMap("detection_finding", fields=ALERT),
    ],
    unmapped=(
        *ENVELOPE,
        *(path for name in UNMAPPED for each in (name, f"properties.{name}") for path in (each, f"{each}.*")),
    ),
)
