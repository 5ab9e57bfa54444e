"""Microsoft Entra ID sign-ins to Authentication 3002.

Interactive and non-interactive sign-ins of users, of service principals and of managed identities: records of
diagnostic settings (``SignInLogs``, ``NonInteractiveUserSignInLogs``, ``ServicePrincipalSignInLogs``,
``ManagedIdentitySignInLogs``), rows of the tables ``SigninLogs``, ``AADNonInteractiveUserSignInLogs``,
``AADServicePrincipalSignInLogs`` and ``AADManagedIdentitySignInLogs``, and ``signIn`` objects of Microsoft Graph.

The fields: https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs and
https://learn.microsoft.com/graph/api/resources/signin
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._address import host, port
from ocsflake.mappers._entra import SYSTEM
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS, RECORDS, first, items, known, member, prop, tenant_of
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, origin, when

CATEGORY = {
    "SignInLogs": "SignInLogs",
    "NonInteractiveUserSignInLogs": "NonInteractiveUserSignInLogs",
    "ServicePrincipalSignInLogs": "ServicePrincipalSignInLogs",
    "ManagedIdentitySignInLogs": "ManagedIdentitySignInLogs",
    "SigninLogs": "SignInLogs",
    "AADNonInteractiveUserSignInLogs": "NonInteractiveUserSignInLogs",
    "AADServicePrincipalSignInLogs": "ServicePrincipalSignInLogs",
    "AADManagedIdentitySignInLogs": "ManagedIdentitySignInLogs",
    "interactiveUser": "SignInLogs",
    "nonInteractiveUser": "NonInteractiveUserSignInLogs",
    "servicePrincipal": "ServicePrincipalSignInLogs",
    "managedIdentity": "ManagedIdentitySignInLogs",
}
LOGON_TYPE = {
    "SignInLogs": "interactiveUser",
    "NonInteractiveUserSignInLogs": "nonInteractiveUser",
    "ServicePrincipalSignInLogs": "servicePrincipal",
    "ManagedIdentitySignInLogs": "managedIdentity",
}
WORKLOAD = {"ServicePrincipalSignInLogs": "ServicePrincipal", "ManagedIdentitySignInLogs": "ManagedIdentity"}
INTERACTIVE = dict.fromkeys(["true", "True"], "SignInLogs") | dict.fromkeys(
    ["false", "False"], "NonInteractiveUserSignInLogs"
)
OAUTH = ["oAuth2", "deviceCode", "ropc", "authenticationTransfer", "nativeAuth"]
FACTOR = {
    "SMS": 1,
    "Text message": 1,
    "Phone call": 3,
    "Phone call approval (Alternate phone)": 3,
    "Phone call approval (Authentication phone)": 3,
    "Phone call approval (Office phone)": 3,
    "Microsoft Authenticator (push notification)": 5,
    "Mobile app notification": 5,
    "OATH hardware token": 6,
    "Mobile app verification code": 7,
    "OATH software token": 7,
    "OATH verification code": 7,
    "Temporary Access Pass": 7,
    "Email": 8,
    "Email OTP": 8,
    "FIDO2 security key": 10,
    "Passkey (FIDO2)": 10,
    "Passkey (Microsoft Authenticator)": 10,
    "Windows Hello for Business": 10,
    "Pass-through authentication": 11,
    "Password": 11,
    "Password Hash Sync": 11,
    "Password in the cloud": 11,
}
NUMBER = r"^-?[0-9]{1,3}(?:\.[0-9]{1,20})?$"


def lon_lat(longitude: pa.Array, latitude: pa.Array) -> pa.Array:
    """Return longitude and latitude as pairs; null where one of them is missing or no number."""
    null = pa.scalar(None, pa.string())
    pair = [
        pc.if_else(pc.match_substring_regex(side, pattern=NUMBER), side, null).cast(pa.float64())
        for side in (longitude, latitude)
    ]
    both = pc.and_(pair[0].is_valid(), pair[1].is_valid())
    sides = pa.concat_arrays([side.filter(both) for side in pair])
    count = len(sides) // 2
    flat = sides.take(pa.array([place for n in range(count) for place in (n, count + n)], pa.int32()))
    ends = pc.cumulative_sum(pc.if_else(both, pa.scalar(2, pa.int32()), pa.scalar(0, pa.int32())))
    return pa.ListArray.from_arrays(pa.concat_arrays([pa.array([0], pa.int32()), ends]), flat, mask=pc.invert(both))


category = (
    at("category", "Category", "Type")
    .lookup(CATEGORY)
    .or_(apply(first, items("signInEventTypes")).lookup(CATEGORY), prop("isInteractive").lookup(INTERACTIVE))
)
workload = category.is_in(WORKLOAD) | (prop("userId").is_null() & ~prop("servicePrincipalId").is_null())
resource = at("resourceId", "ResourceId")  # of Graph objects: what was signed in to
tenant = at("tenantId", "AADTenantId").or_(
    tenant_of(resource), prop("resourceTenantId"), prop("homeTenantId"), origin("account")
)
identity = at("identity", "Identity")
address = prop("ipAddress", "IPAddress", "callerIpAddress", "CallerIpAddress")
code = member("status", "errorCode").text().or_(at("resultType", "ResultType").text())
protocol = prop("authenticationProtocol")
system = member("deviceDetail", "operatingSystem")
longitude = member("location", "geoCoordinates.longitude", "LocationDetails").text()
latitude = member("location", "geoCoordinates.latitude", "LocationDetails").text()
methods = items("authenticationDetails", "authenticationMethod")
policy = prop("conditionalAccessStatus")

FIELDS: Fields = {
    "time": prop("createdDateTime", "", "time", "TimeGenerated", "timestamp"),
    "metadata.logged_time": at("time", "TimeGenerated"),
    "severity_id": 1,
    "activity_id": 1,
    # Interrupts (50140, 50074, 50076 ...) are failures of that attempt; risk says nothing about its outcome.
    "status_id": when(code.is_null(), 0, when(code.is_in(["0", "Success", "success"]), 1, 2)),
    "status_code": code,
    "status_detail": member("status", "failureReason").or_(at("resultDescription", "ResultDescription")),
    "message": member("status", "additionalDetails"),
    "duration": at("durationMs", "DurationMs"),
    "metadata.uid": prop("id"),
    "metadata.correlation_uid": prop("correlationId"),
    "metadata.tenant_uid": tenant,
    "metadata.log_name": category,
    "metadata.product.name": "Microsoft Entra ID",
    "metadata.product.vendor_name": "Microsoft",
    "metadata.product.version": at("operationVersion", "OperationVersion").text(),
    "metadata.product.feature.name": category,
    "cloud.provider": "Azure",
    "cloud.account.uid": tenant,
    "cloud.account.type": "Entra Tenant",
    "cloud.account.type_id": 99,
    "user.uid": prop("userId").or_(prop("servicePrincipalId")),
    "user.name": prop("userPrincipalName").or_(
        prop("servicePrincipalName"), at("disabledAccountSet[]"), at("successfulAccountSigninSet[]")
    ),
    "user.email_addr": prop("userPrincipalName"),
    "user.full_name": prop("userDisplayName").or_(identity.only_if(identity.extract(r"^(\{)").is_null())),
    "user.type": prop("userType").or_(category.lookup(WORKLOAD), when(workload, "ServicePrincipal", "User")),
    "user.type_id": when(workload, 4, 1),
    "user.credential_uid": prop("servicePrincipalCredentialKeyId"),
    "service.uid": prop("appId"),
    "service.name": prop("appDisplayName").or_(
        at("applicationSet[]"), prop("appId"), prop("resourceDisplayName"), "Microsoft Entra ID"
    ),
    "dst_endpoint.uid": at("properties.resourceId", "ResourceIdentity").or_(
        resource.only_if(resource.extract("^(/)").is_null())
    ),
    "dst_endpoint.svc_name": prop("resourceDisplayName"),
    "src_endpoint.ip": host(address),
    "src_endpoint.port": port(address),
    "src_endpoint.uid": member("deviceDetail", "deviceId"),
    "src_endpoint.name": member("deviceDetail", "displayName"),
    "src_endpoint.os.name": system,
    "src_endpoint.os.type_id": system.lookup_prefix(SYSTEM, default=99),
    "src_endpoint.autonomous_system.number": prop("autonomousSystemNumber"),
    "src_endpoint.location.city": member("location", "city", "LocationDetails"),
    "src_endpoint.location.region": member("location", "state", "LocationDetails"),
    "src_endpoint.location.country": member("location", "countryOrRegion", "LocationDetails"),
    "src_endpoint.location.coordinates": apply(lon_lat, longitude, latitude),
    "src_endpoint.location.long": longitude,
    "src_endpoint.location.lat": latitude,
    "http_request.user_agent": prop("userAgent"),
    "session.uid": prop("sessionId").or_(prop("uniqueTokenIdentifier")),
    "is_mfa": prop("authenticationRequirement").lookup(
        {"multiFactorAuthentication": True, "singleFactorAuthentication": False}
    ),
    "auth_protocol_id": when(protocol.is_in(OAUTH), 6, protocol.lookup({"none": 0, "saml20": 5}, default=99)),
    "auth_factors[].factor_type_id": methods.lookup(FACTOR, default=99),
    "logon_type": category.lookup(LOGON_TYPE),
    "logon_type_id": category.lookup(dict.fromkeys(LOGON_TYPE, 99)),
    "risk_level_id": prop("riskLevelAggregated").lookup({"none": 0, "low": 1, "medium": 2, "high": 3}, default=99),
    "risk_details": prop("riskDetail"),
    "action_id": policy.lookup({"success": 1, "failure": 2, "notApplied": 3}, default=99),
    "disposition_id": policy.lookup({"success": 1, "failure": 26, "notApplied": 16}, default=99),
    # A query that counts the sign-ins of each address gives one row for many.
    "start_time": at("StartTime"),
    "end_time": at("EndTime"),
    "count": at("disabledAccountLoginAttempts"),
}

MAPPER = Mapper(
    "azure.signin",
    title="Microsoft Entra ID sign-ins",
    source_name="azure_signin",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[EventMap("authentication", fields=FIELDS)],
    unmapped=(
        *ENVELOPE,
        *known(
            "alternateSignInName",
            "appOwnerTenantId",
            "appServicePrincipalId",
            "appliedConditionalAccessPolicies",
            "appliedEventListeners",
            "authenticationAppDeviceDetails",
            "authenticationAppPolicyEvaluationDetails",
            "authenticationContextClassReferences",
            "authenticationDetails",
            "authenticationMethodsUsed",
            "authenticationProcessingDetails",
            "authenticationRequirementPolicies",
            "clientAppUsed",
            "clientCredentialType",
            "conditionalAccessAudiences",
            "conditionalAccessPolicies",
            "conditionalAccessPoliciesV2",
            "createdDateTime",
            "crossTenantAccessType",
            "deviceDetail",
            "federatedCredentialId",
            "federatedTokenId",
            "flaggedForReview",
            "globalSecureAccessIpAddress",
            "homeTenantId",
            "homeTenantName",
            "incomingTokenType",
            "ipAddressFromResourceProvider",
            "isInteractive",
            "isRisky",
            "isTenantRestricted",
            "isThroughGlobalSecureAccess",
            "managedIdentityType",
            "mfaDetail",
            "networkLocationDetails",
            "originalRequestId",
            "originalTransferMethod",
            "privateLinkDetails",
            "processingTimeInMilliseconds",
            "resourceOwnerTenantId",
            "resourceServicePrincipalId",
            "resourceTenantId",
            "riskEventTypes",
            "riskEventTypes_v2",
            "riskEventTypes_V2",
            "riskLevelDuringSignIn",
            "riskState",
            "servicePrincipalCredentialThumbprint",
            "sessionLifetimePolicies",
            "signInEventTypes",
            "signInIdentifier",
            "signInIdentifierType",
            "signInTokenProtectionStatus",
            "ssoExtensionVersion",
            "status",
            "tokenIssuerName",
            "tokenIssuerType",
            "tokenProtectionStatusDetails",
            "uniqueTokenIdentifier",
        ),
    ),
)
