"""AWS CloudTrail to API Activity 6003, Authentication 3002 and Account Change 3001.

Management, data, network activity and Insights events, as CloudTrail delivers them to S3 (``{"Records": []}``), to
EventBridge (``detail``), to CloudWatch Logs, or as LookupEvents returns them. Digest files hold no events.

The fields: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, at, is_ip, when

SIGN_IN = {
    "AssumeRole": 1,
    "AssumeRoleWithSAML": 1,
    "AssumeRoleWithWebIdentity": 1,
    "ConsoleLogin": 1,
    "ExternalIdPDirectoryLogin": 1,
    "UserAuthentication": 1,
    "CheckMfa": 99,
    "CredentialChallenge": 99,
    "CredentialVerification": 99,
}
IDENTITY_SERVICES = [
    "iam.amazonaws.com",
    "identitystore.amazonaws.com",
    "organizations.amazonaws.com",
    "signin.amazonaws.com",
    "sso.amazonaws.com",
    "sso-directory.amazonaws.com",
]
ACCOUNT_CHANGE = {
    "AddRoleToInstanceProfile": 7,
    "AddUserToGroup": 7,
    "AttachGroupPolicy": 7,
    "AttachRolePolicy": 7,
    "AttachUserPolicy": 7,
    "ChangePassword": 3,
    "CreateAccessKey": 1,
    "CreateAccountAlias": 1,
    "CreateGroup": 1,
    "CreateInstanceProfile": 1,
    "CreateLoginProfile": 1,
    "CreateRole": 1,
    "CreateServiceLinkedRole": 1,
    "CreateServiceSpecificCredential": 1,
    "CreateUser": 1,
    "CreateVirtualMFADevice": 1,
    "DeactivateMFADevice": 11,
    "DeleteAccessKey": 6,
    "DeleteAccountAlias": 6,
    "DeleteGroup": 6,
    "DeleteGroupPolicy": 8,
    "DeleteInstanceProfile": 6,
    "DeleteLoginProfile": 6,
    "DeleteRole": 6,
    "DeleteRolePermissionsBoundary": 8,
    "DeleteRolePolicy": 8,
    "DeleteServiceLinkedRole": 6,
    "DeleteServiceSpecificCredential": 6,
    "DeleteUser": 6,
    "DeleteUserPermissionsBoundary": 8,
    "DeleteUserPolicy": 8,
    "DeleteVirtualMFADevice": 6,
    "DetachGroupPolicy": 8,
    "DetachRolePolicy": 8,
    "DetachUserPolicy": 8,
    "EmailUpdated": 99,
    "EnableMFADevice": 10,
    "PasswordRecoveryCompleted": 4,
    "PasswordRecoveryRequested": 99,
    "PasswordUpdated": 4,
    "PutGroupPolicy": 7,
    "PutRolePermissionsBoundary": 7,
    "PutRolePolicy": 7,
    "PutUserPermissionsBoundary": 7,
    "PutUserPolicy": 7,
    "RemoveRoleFromInstanceProfile": 8,
    "RemoveUserFromGroup": 8,
    "ResetServiceSpecificCredential": 4,
    "ResyncMFADevice": 99,
    "TagInstanceProfile": 99,
    "TagRole": 99,
    "TagUser": 99,
    "UntagInstanceProfile": 99,
    "UntagRole": 99,
    "UntagUser": 99,
    "UpdateAccessKey": 99,
    "UpdateAssumeRolePolicy": 99,
    "UpdateGroup": 99,
    "UpdateLoginProfile": 4,
    "UpdateRole": 99,
    "UpdateRoleDescription": 99,
    "UpdateServiceSpecificCredential": 99,
    "UpdateUser": 99,
}
OPERATION = (
    dict.fromkeys(["Add", "Allocate", "Create", "Import", "Issue", "Launch", "Register", "Request", "Run"], 1)
    | dict.fromkeys(["BatchGet", "Describe", "Download", "Get", "Head", "List", "Lookup", "Query", "Scan"], 2)
    | dict.fromkeys(["Search", "Select", "Simulate", "Test", "Validate", "View"], 2)
    | dict.fromkeys(["Associate", "Attach", "Authorize", "Change", "Detach", "Disable", "Disassociate", "Enable"], 3)
    | dict.fromkeys(["Modify", "Put", "Replace", "Set", "Tag", "Untag", "Update"], 3)
    | dict.fromkeys(["BatchDelete", "Delete", "Deregister", "Purge", "Release", "Remove", "Revoke", "Terminate"], 4)
)
USER_TYPE = {
    "AssumedRole": 1,
    "FederatedUser": 1,
    "IAMUser": 1,
    "IdentityCenterUser": 1,
    "Role": 1,
    "SAMLUser": 1,
    "WebIdentityUser": 1,
    "Root": 2,
    "AWSService": 3,
}

operation = at("eventName").or_(at("insightDetails.eventName"))
service = at("eventSource").or_(at("insightDetails.eventSource"))
address = at("sourceIPAddress")
identity = at("userIdentity.arn").or_(
    at("userIdentity.principalId"), at("userIdentity.userName"), at("userIdentity.accountId")
)
# Sign-in events say how they ended in a member of their own name, not by an error code.
outcome = at("responseElements.ConsoleLogin").or_(
    at("responseElements.CheckMfa"),
    at("responseElements.ExternalIdPDirectoryLogin"),
    at("serviceEventDetails.CredentialChallenge"),
    at("serviceEventDetails.CredentialVerification"),
    at("serviceEventDetails.UserAuthentication"),
)
role = at("requestParameters.roleArn")
target = at("responseElements.user.userName").or_(
    at("responseElements.role.roleName"),
    at("requestParameters.userName"),
    at("requestParameters.roleName"),
    at("requestParameters.groupName"),
    at("requestParameters.instanceProfileName"),
)

COMMON: Fields = {
    "time": at("eventTime"),
    "severity_id": 1,
    "status_id": when(at("errorCode").is_null(), 1, 2),
    "metadata.uid": at("eventID"),
    "metadata.event_code": at("eventType"),
    "metadata.product.version": at("eventVersion").text(),
    "metadata.product.name": "CloudTrail",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": at("eventCategory").or_("Management, Data, and Insights"),
    "cloud.provider": "AWS",
    "cloud.region": at("awsRegion"),
    "cloud.account.uid": at("recipientAccountId").or_(at("userIdentity.accountId")),
    "api.operation": operation,
    "api.service.name": service,
    "api.version": at("apiVersion").text(),
    "api.request.uid": at("requestID"),
    "api.request.data": at("requestParameters"),
    "api.response.data": at("responseElements"),
    "api.response.error": at("errorCode"),
    "api.response.message": at("errorMessage"),
    "actor.user.type": at("userIdentity.type"),
    "actor.user.type_id": at("userIdentity.type").lookup(USER_TYPE, default=99),
    "actor.user.uid": at("userIdentity.arn"),
    "actor.user.uid_alt": at("userIdentity.onBehalfOf.userId").or_(at("userIdentity.principalId")),
    "actor.user.name": at("userIdentity.userName").or_(
        at("additionalEventData.UserName"),
        at("userIdentity.invokedBy").only_if(at("userIdentity.type") == "AWSService"),
    ),
    "actor.user.account.uid": at("userIdentity.accountId"),
    "actor.user.credential_uid": at("userIdentity.accessKeyId").or_(at("userIdentity.credentialId")),
    "actor.session.created_time": at("userIdentity.sessionContext.attributes.creationDate"),
    "actor.session.is_mfa": at("userIdentity.sessionContext.attributes.mfaAuthenticated"),
    "actor.session.issuer": at("userIdentity.sessionContext.sessionIssuer.arn"),
    # A record without an identity was made by the service itself (Insights, some service events).
    "actor.invoked_by": at("userIdentity.invokedBy").or_(service.only_if(identity.is_null())),
    "actor.idp.name": at("userIdentity.identityProvider").or_(
        at("userIdentity.sessionContext.webIdFederationData.federatedProvider")
    ),
    "actor.idp.uid": at("userIdentity.onBehalfOf.identityStoreArn"),
    "src_endpoint.ip": address.only_if(is_ip(address)),
    "src_endpoint.domain": address.only_if(~is_ip(address)),
    # OCSF before 1.5 does not count a domain as naming an endpoint: a service's name stands in svc_name too.
    "src_endpoint.svc_name": address.only_if(~is_ip(address)).or_(
        service.only_if(address.is_null() & at("vpcEndpointId").is_null())
    ),
    "src_endpoint.uid": at("vpcEndpointId"),
    "http_request.user_agent": at("userAgent"),
}

AUTHENTICATION: Fields = {
    "activity_id": at("eventName").lookup(SIGN_IN, default=99),
    "status_id": when(at("errorCode").is_null() & (outcome != "Failure"), 1, 2),
    "is_mfa": at("additionalEventData.MFAUsed").lookup({"Yes": True, "No": False}),
    "user.uid": role.or_(at("userIdentity.arn")),
    "user.uid_alt": at("userIdentity.principalId").or_(at("userIdentity.onBehalfOf.userId")),
    "user.name": at("requestParameters.roleSessionName").or_(
        at("userIdentity.userName"), at("additionalEventData.UserName")
    ),
    # A role may be another account's than the caller.
    "user.account.uid": role.split(":", 4).or_(at("userIdentity.accountId"), at("recipientAccountId")),
    "session.uid": at("responseElements.assumedRoleUser.arn"),
    "session.uid_alt": at("responseElements.assumedRoleUser.assumedRoleId"),
    "session.credential_uid": at("responseElements.credentials.accessKeyId"),
    "session.expiration_time": at("responseElements.credentials.expiration"),
    "service.name": service,
    "dst_endpoint.svc_name": at("additionalEventData.LoginTo"),
}

ACCOUNT: Fields = {
    "activity_id": at("eventName").lookup(ACCOUNT_CHANGE, default=99),
    # A call that names nobody (ChangePassword) is about the caller.
    "user.name": target.or_(at("userIdentity.userName")),
    # Security Lake's 1.0 tables have the unique id of a user or role in uid, its 1.1 tables in uid_alt.
    "user.uid": at("responseElements.user.userId").or_(
        at("responseElements.role.roleId"), at("userIdentity.principalId").only_if(target.is_null())
    ),
    "user.uid_alt": at("responseElements.user.userId").or_(at("responseElements.role.roleId")),
    "user.account.uid": at("recipientAccountId"),
    "policy.uid": at("requestParameters.policyArn"),
    "policy.name": at("requestParameters.policyName"),
}

API: Fields = {
    "activity_id": when(at("eventCategory") == "Insight", 99, operation.lookup_prefix(OPERATION, default=99)),
    "resources[].uid": at("resources[].ARN").or_(at("resources[].ARNPrefix")),
    "resources[].type": at("resources[].type"),
    "resources[].owner.account.uid": at("resources[].accountId"),
}

# What gives access, by the names that services use; most of them leave it out of CloudTrail or mask it, not all of them
# always. STS, for one, logs the session tokens that it gives out.
SECRET = (
    "sessionToken",  # first, since it is the most frequent
    "accessToken",
    "adminPassword",
    "authorizationToken",
    "authToken",
    "clientSecret",
    "idToken",
    "keyMaterial",
    "masterPassword",
    "masterUserPassword",
    "newPassword",
    "oldPassword",
    "password",
    "preSharedKey",
    "privateKey",
    "proposedPassword",
    "refreshToken",
    "secretAccessKey",
    "secretBinary",
    "secretString",
    "servicePassword",
    "temporaryPassword",
    "userPassword",
)

MAPPER = Mapper(
    "aws.cloudtrail",
    title="AWS CloudTrail",
    source_name="aws_cloudtrail",
    parse=JsonRecords(unwrap=("Records", "CloudTrailEvent"), skip=(("CloudTrail digest", "digestS3Bucket"),)),
    events=[
        EventMap("authentication", where=at("eventName").is_in(SIGN_IN), fields=COMMON | AUTHENTICATION),
        EventMap(
            "account_change",
            where=at("eventName").is_in(ACCOUNT_CHANGE) & at("eventSource").is_in(IDENTITY_SERVICES),
            fields=COMMON | ACCOUNT,
        ),
        EventMap("api_activity", fields=COMMON | API),
    ],
    unmapped=(
        "addendum.*",
        "additionalEventData.*",
        "additionalEventData.AuthenticationMethod",
        "additionalEventData.CipherSuite",
        "additionalEventData.SignatureVersion",
        "additionalEventData.bytesTransferredIn",
        "additionalEventData.bytesTransferredOut",
        "additionalEventData.x-amz-id-2",
        "edgeDeviceDetails.*",
        "eventContext.*",
        "insightDetails.*",
        "managementEvent",
        "readOnly",
        "serviceEventDetails.*",
        "sessionCredentialFromConsole",
        "sharedEventID",
        "tlsDetails.*",
        "tlsDetails.cipherSuite",
        "tlsDetails.clientProvidedHostHeader",
        "tlsDetails.tlsVersion",
        "userIdentity.*",
        "userIdentity.sessionContext.sessionIssuer.accountId",
        "userIdentity.sessionContext.sessionIssuer.principalId",
        "userIdentity.sessionContext.sessionIssuer.type",
        "userIdentity.sessionContext.sessionIssuer.userName",
        "vpcEndpointAccountId",
    ),
    secrets=tuple(f"{where}.**.{name}" for where in ("requestParameters", "responseElements") for name in SECRET),
)
