"""What Microsoft 365 calls its operations, record types and kinds of users.

https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema and
https://learn.microsoft.com/purview/audit-log-activities
"""

from __future__ import annotations

__all__ = ["FILE", "LOGON", "PREFIX", "RECORD_TYPE", "SUFFIX", "UNMAPPED", "USER_TYPE", "USER_TYPE_ID"]

RECORD_TYPE = {
    "ExchangeAdmin": "1",
    "ExchangeItem": "2",
    "ExchangeItemGroup": "3",
    "SharePoint": "4",
    "SharePointFileOperation": "6",
    "OneDrive": "7",
    "AzureActiveDirectory": "8",
    "AzureActiveDirectoryAccountLogon": "9",
    "DataCenterSecurityCmdlet": "10",
    "ComplianceDLPSharePoint": "11",
    "ComplianceDLPExchange": "13",
    "SharePointSharingOperation": "14",
    "AzureActiveDirectoryStsLogon": "15",
    "SecurityComplianceCenterEOPCmdlet": "18",
    "ExchangeAggregatedOperation": "19",
    "PowerBIAudit": "20",
    "CRM": "21",
    "Yammer": "22",
    "SkypeForBusinessCmdlets": "23",
    "Discovery": "24",
    "MicrosoftTeams": "25",
    "ThreatIntelligence": "28",
    "MailSubmission": "29",
    "MicrosoftFlow": "30",
    "AeD": "31",
    "SharePointListOperation": "36",
    "SecurityComplianceAlerts": "40",
    "ThreatIntelligenceUrl": "41",
    "SecurityComplianceInsights": "42",
    "WorkplaceAnalytics": "44",
    "PowerAppsApp": "45",
    "ThreatIntelligenceAtpContent": "47",
    "LabelContentExplorer": "48",
    "TeamsHealthcare": "49",
    "ExchangeItemAggregated": "50",
    "HygieneEvent": "51",
    "DataInsightsRestApiAudit": "52",
    "SharePointListItemOperation": "54",
    "SharePointContentTypeOperation": "55",
    "SharePointFieldOperation": "56",
    "DLPEndpoint": "63",
}
"""Names, as the tables of Log Analytics have them, to the numbers of the API."""

USER_TYPE = {
    "0": "Regular",
    "1": "Reserved",
    "2": "Admin",
    "3": "DcAdmin",
    "4": "System",
    "5": "Application",
    "6": "ServicePrincipal",
    "7": "CustomPolicy",
    "8": "SystemPolicy",
    "9": "PartnerTechnician",
    "10": "Guest",
}
USER_TYPE_ID = {
    "Regular": 1,
    "Guest": 1,
    "Admin": 2,
    "DcAdmin": 2,
    "System": 3,
    "SystemPolicy": 3,
    "Application": 4,
    "ServicePrincipal": 4,
}

LOGON = {"UserLoggedIn": 1, "UserLoginFailed": 1, "UserLoggedOff": 2, "UserLoggedOut": 2}

FILE = (
    dict.fromkeys(["FileUploaded", "FolderCreated", "FileUploadedPartial"], 1)
    | dict.fromkeys(["FileDownloaded"], 2)
    | dict.fromkeys(["FileModified", "FileModifiedExtended", "FolderModified"], 3)
    | dict.fromkeys(["FileDeleted", "FileDeletedFirstStageRecycleBin", "FileDeletedSecondStageRecycleBin"], 4)
    | dict.fromkeys(["FileRecycled", "FolderDeleted", "FolderDeletedFirstStageRecycleBin"], 4)
    | dict.fromkeys(["FolderDeletedSecondStageRecycleBin", "FolderRecycled"], 4)
    | dict.fromkeys(["FileRenamed", "FolderRenamed"], 5)
    | dict.fromkeys(["FileCopied", "FolderCopied"], 6)
    | dict.fromkeys(["FileMoved", "FolderMoved"], 7)
    | dict.fromkeys(["FileRestored", "FolderRestored"], 8)
    | dict.fromkeys(["FilePreviewed"], 9)
    | dict.fromkeys(["FileCheckedOut"], 10)
    | dict.fromkeys(["FileCheckedIn", "FileCheckOutDiscarded"], 11)
    | dict.fromkeys(["AddedToSecureLink", "AnonymousLinkCreated", "CompanyLinkCreated", "SecureLinkCreated"], 12)
    | dict.fromkeys(["SharingInvitationCreated", "SharingLinkCreated", "SharingSet"], 12)
    | dict.fromkeys(["AnonymousLinkRemoved", "CompanyLinkRemoved", "RemovedFromSecureLink"], 13)
    | dict.fromkeys(["SecureLinkDeleted", "SharingInvitationRevoked", "SharingLinkDeleted", "SharingRevoked"], 13)
    | dict.fromkeys(["AnonymousLinkUsed", "CompanyLinkUsed", "FileAccessed", "FileAccessedExtended"], 14)
    | dict.fromkeys(["SecureLinkUsed", "SharingLinkUsed"], 14)
    | dict.fromkeys(["FileSyncDownloadedFull", "FileSyncDownloadedPartial"], 15)
    | dict.fromkeys(["FileSyncUploadedFull", "FileSyncUploadedPartial"], 15)
)
"""Operations on the files of SharePoint and OneDrive to the ``activity_id`` of File Hosting Activity."""

PREFIX = (
    dict.fromkeys(["Add", "Create", "Install", "Invite", "New", "Send"], 1)
    | dict.fromkeys(["Export", "FolderBind", "Get", "MailItemsAccessed", "MessageBind", "Search", "Test", "View"], 2)
    | dict.fromkeys(["Change", "Disable", "Enable", "Move", "Set", "Update"], 3)
    | dict.fromkeys(["Delete", "HardDelete", "MoveToDeletedItems", "Remove", "SoftDelete", "Uninstall"], 4)
)
SUFFIX = (
    dict.fromkeys(["Added", "Created", "Installed", "Sent"], 1)
    | dict.fromkeys(["Accessed", "Exported", "Performed", "Previewed", "Read", "Viewed"], 2)
    | dict.fromkeys(["Changed", "Edited", "Modified", "Updated"], 3)
    | dict.fromkeys(["Deleted", "Removed", "Uninstalled"], 4)
)
"""First and last words of other operations to the ``activity_id`` of API Activity."""

UNMAPPED = (
    '"@odata.type"',
    "AADGroupId",
    "Actor",
    "ActorContextId",
    "ActorIpAddress",
    "ActorYammerUserId",
    "AddOnName",
    "AddOnType",
    "AffectedItems",
    "AlertLinks",
    "AlertType",
    "AppAccessContext",
    "AppPoolName",
    "Application",
    "ApplicationDisplayName",
    "AzureActiveDirectoryEventType",
    "ChannelGuid",
    "ChannelName",
    "ChannelType",
    "ChatThreadId",
    "ClientApplication",
    "ClientIPAddress",
    "ClientInfoString",
    "ClientProcessName",
    "ClientRegion",
    "ClientVersion",
    "CmdletVersion",
    "CommunicationType",
    "CorrelationID",
    "CrossMailboxOperation",
    "CustomEvent",
    "Data",
    "DestFolder",
    "DestMailboxGuid",
    "DestMailboxOwnerUPN",
    "DestinationFileExtension",
    "DestinationRelativeUrl",
    "DeviceProperties",
    "EffectiveOrganization",
    "EvaluationTime",
    "EventData",
    "EventSource",
    "ExceptionInfo",
    "ExchangeMetaData",
    "ExtendedProperties",
    "ExternalAccess",
    "ExtraProperties",
    "FileSizeBytes",
    "Folder",
    "Folders",
    "FromApp",
    "HighPriorityMediaProcessing",
    "InterSystemsId",
    "InternalLogonType",
    "IntraSystemId",
    "IsDocLib",
    "Item",
    "ItemCount",
    "ItemName",
    "ItemType",
    "ListBaseType",
    "ListId",
    "ListServerTemplate",
    "ListTitle",
    "LogonType",
    "LogonUserDisplayName",
    "LogonUserSid",
    "MachineDomainInfo",
    "MachineId",
    "MailboxGuid",
    "MailboxOwnerMasterAccountSid",
    "MailboxOwnerSid",
    "MailboxOwnerUPN",
    "Members",
    "MessageId",
    "ModifiedObjectResolvedName",
    "ModifiedProperties",
    "NonPIIParameters",
    "OperationCount",
    "OperationProperties",
    "OrganizationName",
    "OriginatingServer",
    "Parameters",
    "Platform",
    "PolicyDetails",
    "PolicyId",
    "RequestId",
    "ResultReasonType",
    "SaveToSentItems",
    "Scope",
    "SecurityComplianceCenterEventType",
    "SensitiveInfoDetectionIsIncluded",
    "SessionId",
    "SharePointMetaData",
    "SharingType",
    "Site",
    "SiteSensitivityLabelId",
    "Source",
    "SourceFileExtension",
    "SourceRelativeUrl",
    "StartTime",
    "SupportTicketId",
    "Target",
    "TargetContextId",
    "TargetUserId",
    "TargetUserOrGroupName",
    "TargetUserOrGroupType",
    "TeamGuid",
    "TeamName",
    "UniqueSharingId",
    "UserServicePlan",
    "UserSharedWith",
    "WebId",
)
"""Fields that no attribute holds in full and that go to ``unmapped``."""
