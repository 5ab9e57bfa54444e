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

from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, when
from ocsflake.mappers._address import host, port
from ocsflake.mappers.azure._shapes import COMMON, NULL_WORDS, RECORDS, member, prop, tenant_of

CATEGORIES = {
    "SigninLogs": "SignInLogs",
    "AADNonInteractiveUserSignInLogs": "NonInteractiveUserSignInLogs",
    "AADServicePrincipalSignInLogs": "ServicePrincipalSignInLogs",
    "AADManagedIdentitySignInLogs": "ManagedIdentitySignInLogs",
    "interactiveUser": "SignInLogs",
    "nonInteractiveUser": "NonInteractiveUserSignInLogs",
    "servicePrincipal": "ServicePrincipalSignInLogs",
    "managedIdentity": "ManagedIdentitySignInLogs",
}
LOGON_TYPES = {
    "SignInLogs": "interactiveUser",
    "NonInteractiveUserSignInLogs": "nonInteractiveUser",
    "ServicePrincipalSignInLogs": "servicePrincipal",
    "ManagedIdentitySignInLogs": "managedIdentity",
}
WORKLOADS = {"ServicePrincipalSignInLogs": "ServicePrincipal", "ManagedIdentitySignInLogs": "ManagedIdentity"}
OAUTH = ("oAuth2", "deviceCode", "ropc", "authenticationTransfer", "nativeAuth")
FACTORS = {
    "Text message": 1,
    "Mobile app notification": 5,
    "Microsoft Authenticator (push notification)": 5,
    "OATH verification code": 7,
    "OATH software token": 7,
    "Mobile app verification code": 7,
    "OATH hardware token": 6,
    "Temporary Access Pass": 7,
    "Email": 8,
    "Email OTP": 8,
    "Phone call": 3,
    "Phone call approval (Authentication phone)": 3,
    "Phone call approval (Alternate phone)": 3,
    "Phone call approval (Office phone)": 3,
    "FIDO2 security key": 10,
    "Passkey (FIDO2)": 10,
    "Passkey (Microsoft Authenticator)": 10,
    "Windows Hello for Business": 10,
    "Password": 11,
    "Password in the cloud": 11,
    "Password (Azure AD)": 11,
    "Password Hash Sync": 11,
    "Pass-through authentication": 11,
}
OPERATING_SYSTEMS = {
    "Windows": 100,
    "Linux": 200,
    "Android": 201,
    "MacOs": 300,
    "MacOS": 300,
    "macOS": 300,
    "Ios": 301,
    "iOS": 301,
    "IOS": 301,
}


def lon_lat(longitude: pa.Array, latitude: pa.Array) -> pa.Array:
    """Return pairs of longitude and latitude, in this order; null where one is missing."""
    pairs = [
        None if x is None or y is None else [float(x), float(y)]
        for x, y in zip(longitude.to_pylist(), latitude.to_pylist(), strict=True)
    ]
    return pa.array(pairs, pa.list_(pa.float64()))


def first_of_list(texts: pa.Array) -> pa.Array:
    """Return the first text of lists such as ``["a", "b"]``, given as JSON."""
    return pc.struct_field(pc.extract_regex(texts, pattern=r'^\s*\[\s*"(?P<first>[^"\\]+)"'), "first")


# How the row of the query calls the kind of sign-in: category, table, or Graph's list of event types.
category = (
    at("category", "Category")
    .only_if(at("category", "Category").is_in(LOGON_TYPES))
    .or_(
        at("Type").lookup(CATEGORIES),
        prop("signInEventTypes").extract(r'"([A-Za-z]+)"').lookup(CATEGORIES),
        prop("isInteractive").lookup(
            {"true": "SignInLogs", "True": "SignInLogs", "false": "NonInteractiveUserSignInLogs"}
            | {"False": "NonInteractiveUserSignInLogs"}
        ),
    )
)
workload = category.is_in(WORKLOADS) | (prop("userId").is_null() & ~prop("servicePrincipalId").is_null())
resource = at("resourceId", "ResourceId").only_if(at("resourceId", "ResourceId").lower().extract("^(/)") == "/")
address = prop("ipAddress", "IPAddress", "callerIpAddress", "CallerIpAddress")
code = member("status", "errorCode").text().or_(at("resultType", "ResultType").text())
failed = code.or_("0") != "0"
protocol = prop("authenticationProtocol")
system = member("deviceDetail", "operatingSystem")
longitude = member("location", "geoCoordinates.longitude", "LocationDetails").text()
latitude = member("location", "geoCoordinates.latitude", "LocationDetails").text()
methods = (
    at("properties.authenticationDetails[].authenticationMethod")
    .or_(at("AuthenticationDetails[].authenticationMethod"))
    .or_(at("authenticationDetails[].authenticationMethod"))
)
app = prop("appId").or_(prop("appDisplayName"))
# A row of a query that counts sign-ins (summarize ... by IPAddress) names its accounts in lists.
accounts = apply(first_of_list, at("disabledAccountSet").or_(at("successfulAccountSigninSet")).text())

FIELDS: Fields = COMMON | {
    "time": prop("createdDateTime", "CreatedDateTime", "time", "TimeGenerated", "timestamp"),
    "start_time": at("StartTime"),
    "end_time": at("EndTime"),
    "activity_id": 1,
    "severity_id": 1,
}
