"""The tables of Log Analytics that hold the records of each log type.

The tables: https://learn.microsoft.com/azure/azure-monitor/reference/tables-index
"""

from __future__ import annotations

__all__ = ["TABLES"]

_DIAGNOSTICS = "AzureDiagnostics"

TABLES: dict[str, dict[str, str]] = {
    "azure.activity": {"AzureActivity": ""},
    "azure.aks_audit": {
        "AKSAudit": "",
        "AKSAuditAdmin": "",
        _DIAGNOSTICS: 'Category startswith "kube-audit"',
    },
    "azure.audit": {"AuditLogs": "", "AADUserRiskEvents": ""},
    "azure.defender": {
        "SecurityAlert": "",
        "SecurityIncident": "",
        "SecurityNestedRecommendation": "",
        "SecurityRecommendation": "",
    },
    "azure.firewall": {
        "AZFWApplicationRule": "",
        "AZFWDnsQuery": "",
        "AZFWFatFlow": "",
        "AZFWFlowTrace": "",
        "AZFWIdpsSignature": "",
        "AZFWInternalFqdnResolutionFailure": "",
        "AZFWNatRule": "",
        "AZFWNetworkRule": "",
        "AZFWThreatIntel": "",
        _DIAGNOSTICS: 'Category startswith "AzureFirewall"',
    },
    "azure.keyvault": {
        "AZKVAuditLogs": "",
        _DIAGNOSTICS: 'ResourceProvider =~ "Microsoft.KeyVault" and Category == "AuditEvent"',
    },
    "azure.signin": {
        "SigninLogs": "",
        "AADNonInteractiveUserSignInLogs": "",
        "AADServicePrincipalSignInLogs": "",
        "AADManagedIdentitySignInLogs": "",
    },
    "azure.storage": {
        "StorageBlobLogs": "",
        "StorageFileLogs": "",
        "StorageQueueLogs": "",
        "StorageTableLogs": "",
    },
    "azure.traffic_analytics": {
        "NTANetAnalytics": 'SubType =~ "FlowLog"',
        "AzureNetworkAnalytics_CL": 'SubType_s =~ "FlowLog"',
    },
    "microsoft365.audit": {"OfficeActivity": ""},
}
"""Log type to tables, each with the condition that picks the records of the log type, ``""`` where all of them are."""
