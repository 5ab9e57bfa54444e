"""The shapes of the queries that AWS publishes for Security Lake: tables, columns and functions, in our own words.

From the user guide for source version 1 (OCSF 1.0.0-rc.2) and 2 (OCSF 1.1.0), and from the queries for Security Lake in
awslabs/aws-security-analytics-bootstrap. ``{name}`` stands for a table of us-east-1.
"""

from __future__ import annotations

WEEK_1 = (
    "eventDay BETWEEN cast(date_format(current_timestamp - INTERVAL '7' day, '%Y%m%d%H') as varchar)"
    " and cast(date_format(current_timestamp - INTERVAL '0' day, '%Y%m%d%H') as varchar)"
)
WEEK_2 = "time_dt BETWEEN CURRENT_TIMESTAMP - INTERVAL '7' DAY AND CURRENT_TIMESTAMP"
SCOPE = (
    "eventday >= '20261101' AND eventday <= '20261130' AND accountid = '111122223333'"
    " AND region in ('us-east-1','us-east-2','us-west-2', 'us-west-2')"
)
DENIED = (
    "('Client.UnauthorizedOperation', 'Client.InvalidPermission.NotFound', 'Client.OperationNotPermitted',"
    " 'AccessDenied')"
)
CHANGES_ONLY = "api.operation NOT LIKE 'Get%' AND api.operation NOT LIKE 'List%' AND api.operation NOT LIKE 'Describe%'"

TABLES_1 = ("cloud_trail_mgmt_1_0", "s3_data_1_0", "lambda_execution_1_0", "vpc_flow_1_0", "route53_1_0")
TABLES_1 += ("sh_findings_1_0",)
TABLES_2 = (*(name.replace("_1_0", "_2_0") for name in TABLES_1), "eks_audit_2_0", "waf_2_0")


def inside(network: str, endpoint: str) -> str:
    return f"contains('{network}', (CAST({endpoint}.ip AS IPADDRESS)))"


def private(endpoint: str) -> str:
    return " OR ".join(inside(network, endpoint) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


SV1 = {
    "credential": f"SELECT actor.user.uid, actor.user.uuid, actor.user.account_uid, cloud.region"
    f" FROM {{cloud_trail_mgmt_1_0}} WHERE {WEEK_1} AND actor.user.credential_uid = 'AKIAI44QH8DHBEXAMPLE' LIMIT 25",
    "denied calls": "SELECT time, api.service.name, api.operation, api.response.error, api.response.message,"
    " unmapped['responseElements'], cloud.region, actor.user.uuid, src_endpoint.ip, http_request.user_agent"
    f" FROM {{cloud_trail_mgmt_1_0}} WHERE {WEEK_1} AND api.response.error in {DENIED} ORDER BY time desc LIMIT 25",
    "failed records": f"SELECT actor.user.uid, actor.user.uuid, actor.user.account_uid, cloud.region"
    f" FROM {{cloud_trail_mgmt_1_0}} WHERE status='failed' and {WEEK_1} ORDER BY time DESC LIMIT 25",
    "from an address": "SELECT api.request.uid, time, api.service.name, api.operation, cloud.region, actor.user.uuid,"
    " src_endpoint.ip, http_request.user_agent FROM {cloud_trail_mgmt_1_0}"
    f" WHERE {WEEK_1} AND src_endpoint.ip = '203.0.113.10' ORDER BY time desc LIMIT 25",
    "from an address since": "SELECT * FROM {cloud_trail_mgmt_1_0} WHERE eventDay > '20230301'"
    " AND src_endpoint.ip = '203.0.113.10' ORDER BY time desc LIMIT 25",
    "iam": f"SELECT * FROM {{cloud_trail_mgmt_1_0}} WHERE {WEEK_1} AND api.service.name = 'iam.amazonaws.com'"
    " ORDER BY time desc LIMIT 25",
    "dns": "SELECT time, src_endpoint.instance_uid, src_endpoint.ip, src_endpoint.port, query.hostname, rcode"
    f" FROM {{route53_1_0}} WHERE {WEEK_1} ORDER BY time DESC LIMIT 25",
    "dns of a name": "SELECT time, src_endpoint.instance_uid, src_endpoint.ip, query.hostname, rcode, answers"
    f" FROM {{route53_1_0}} WHERE query.hostname LIKE 's3.amazonaws.com.' and {WEEK_1} ORDER BY time DESC LIMIT 25",
    "dns without an answer": "SELECT time, src_endpoint.ip, query.hostname, rcode, answers FROM {route53_1_0}"
    f" WHERE cardinality(answers) = 0 and {WEEK_1} LIMIT 25",
    "dns with an answer": "SELECT time, src_endpoint.ip, query.hostname, rcode, answer.rdata FROM {route53_1_0}"
    f" CROSS JOIN UNNEST(answers) as st(answer) WHERE answer.rdata='192.0.2.1' and {WEEK_1} LIMIT 25",
    "new findings": f"SELECT time, finding, severity FROM {{sh_findings_1_0}} WHERE {WEEK_1} AND severity_id >= 3"
    " AND state_id = 1 ORDER BY time DESC LIMIT 25",
    "duplicate findings": "SELECT finding.uid, MAX(time) AS time, ARBITRARY(region) AS region,"
    " ARBITRARY(accountid) AS accountid, ARBITRARY(finding) AS finding, ARBITRARY(vulnerabilities) AS vulnerabilities"
    f" FROM {{sh_findings_1_0}} WHERE {WEEK_1} GROUP BY finding.uid LIMIT 25",
    "not informational": "SELECT time, finding.title, finding, severity FROM {sh_findings_1_0}"
    f" WHERE severity != 'Informational' and {WEEK_1} LIMIT 25",
    "findings of buckets": "SELECT * FROM {sh_findings_1_0}"
    " WHERE any_match(resources, element -> element.type = 'AwsS3Bucket') LIMIT 25",
    "cvss": "SELECT * FROM {sh_findings_1_0}"
    " WHERE any_match(vulnerabilities, element -> element.cve.cvss.base_score > 1.0) LIMIT 25",
    "cve": "SELECT * FROM {sh_findings_1_0}"
    " WHERE any_match(vulnerabilities, element -> element.cve.uid = 'CVE-2026-10001') LIMIT 25",
    "products": f"SELECT metadata.product.feature.name, count(*) FROM {{sh_findings_1_0}} WHERE {WEEK_1}"
    " GROUP BY metadata.product.feature.name ORDER BY metadata.product.feature.name DESC LIMIT 25",
    "resource types": "SELECT count(*), resource.type FROM {sh_findings_1_0}"
    f" CROSS JOIN UNNEST(resources) as st(resource) WHERE {WEEK_1} GROUP BY resource.type LIMIT 25",
    "vulnerable packages": "SELECT vulnerability FROM {sh_findings_1_0},"
    " UNNEST(vulnerabilities) as t(vulnerability) WHERE vulnerabilities is not null LIMIT 25",
    "changed findings": "SELECT finding.uid, finding.created_time, finding.first_seen_time, finding.last_seen_time,"
    f" finding.modified_time, finding.title, state FROM {{sh_findings_1_0}} WHERE {WEEK_1} LIMIT 25",
    "flows of regions": f"SELECT * FROM {{vpc_flow_1_0}} WHERE {WEEK_1}"
    " AND region in ('us-east-1','us-east-2','us-west-2') LIMIT 25",
    "flows of a port": f"SELECT * FROM {{vpc_flow_1_0}} WHERE {WEEK_1} AND src_endpoint.ip = '192.0.2.1'"
    " AND src_endpoint.port = 22 LIMIT 25",
    "destinations": f"SELECT COUNT(DISTINCT dst_endpoint.ip) FROM {{vpc_flow_1_0}} WHERE {WEEK_1} LIMIT 25",
    "flows of a network": f"SELECT * FROM {{vpc_flow_1_0}} WHERE {WEEK_1}"
    " AND split_part(src_endpoint.ip,'.', 1)='198'AND split_part(src_endpoint.ip,'.', 2)='51' LIMIT 25",
    "https": "SELECT dst_endpoint.ip as dst, src_endpoint.ip as src, traffic.packets FROM {vpc_flow_1_0}"
    f" WHERE {WEEK_1} AND dst_endpoint.port = 443 GROUP BY dst_endpoint.ip, traffic.packets, src_endpoint.ip"
    " ORDER BY traffic.packets DESC LIMIT 25",
    "https by packets": f"SELECT traffic.packets, dst_endpoint.ip FROM {{vpc_flow_1_0}} WHERE {WEEK_1}"
    " AND dst_endpoint.port = 443 GROUP BY traffic.packets, dst_endpoint.ip ORDER BY traffic.packets DESC LIMIT 25",
    "between two": "SELECT start_time, end_time, src_endpoint.interface_uid, connection_info.direction,"
    " src_endpoint.ip, dst_endpoint.ip, src_endpoint.port, dst_endpoint.port, traffic.packets, traffic.bytes"
    f" FROM {{vpc_flow_1_0}} WHERE {WEEK_1} AND( src_endpoint.ip = '10.20.1.107' AND dst_endpoint.ip = '203.0.113.66')"
    " OR ( src_endpoint.ip = '203.0.113.66' AND dst_endpoint.ip = '10.20.1.107') ORDER BY start_time ASC LIMIT 25",
    "inbound": f"SELECT * FROM {{vpc_flow_1_0}} WHERE {WEEK_1} AND connection_info.direction = 'ingress' LIMIT 25",
    "outbound": f"SELECT * FROM {{vpc_flow_1_0}} WHERE {WEEK_1} AND connection_info.direction = 'egress' LIMIT 25",
    "rejected": f"SELECT * FROM {{vpc_flow_1_0}} WHERE {WEEK_1} AND type_uid = 400105 LIMIT 25",
}

SV1 |= {table: f"SELECT * FROM {{{table}}} WHERE {WEEK_1} LIMIT 25" for table in TABLES_1}
SV1 |= {
    f"{table}: {name}": f"SELECT * FROM {{{table}}} WHERE {condition} LIMIT 25"
    for table in ("cloud_trail_mgmt_1_0", "vpc_flow_1_0")
    for name, condition in {
        "a year": "eventDay > cast(date_format(current_timestamp - INTERVAL '1' year, '%Y%m%d%H') as varchar)",
        "a month": "eventDay > cast(date_format(current_timestamp - INTERVAL '1' month, '%Y%m%d%H') as varchar)",
        "hours": "eventDay > cast(date_format(current_timestamp - INTERVAL '12' hour, '%Y%m%d%H') as varchar)",
        "minutes": "eventDay > cast(date_format(current_timestamp - INTERVAL '5' minute, '%Y%m%d%H') as varchar)",
        "retention": "eventDay BETWEEN cast(date_format(current_date - INTERVAL '59' day, '%Y%m%d') AS varchar)"
        " AND cast(date_format(current_date, '%Y%m%d') AS varchar)",
        "an account": "accountid = '111122223333'",
        "accounts": "accountid in ('111122223333','444455556666','123456789012')",
        "a region": "region = 'us-east-1'",
        "regions": "region in ('us-east-1','us-east-2','us-west-2')",
        "days": "eventday >= '20261101' AND eventday <= '20261130'",
        "thirty days": "eventday >= date_format(date_add('day',-30,current_timestamp), '%Y%m%d')",
        "all partitions": SCOPE,
    }.items()
}

SV2 = {
    "flows from an address": "SELECT * FROM {vpc_flow_2_0} WHERE time_dt > TIMESTAMP '2023-03-01'"
    " AND src_endpoint.ip = '192.0.2.1' ORDER BY time_dt desc LIMIT 25",
    "observables": f"WITH a AS (SELECT time_dt, observable.name, observable.value FROM {{vpc_flow_2_0}},"
    f" UNNEST(observables) AS t(observable) WHERE {WEEK_2} AND observable.value='10.20.1.107'"
    " AND observable.name='src_endpoint.ip'), b as (SELECT time_dt, observable.name, observable.value"
    f" FROM {{route53_2_0}}, UNNEST(observables) AS t(observable) WHERE {WEEK_2} AND observable.value='10.20.1.107'"
    " AND observable.name='src_endpoint.ip') SELECT * FROM a LEFT JOIN b ON a.value=b.value and a.name=b.name LIMIT 25",
    "eks url": "SELECT time_dt, actor.user.name, http_request.url.path, activity_name FROM {eks_audit_2_0}"
    f" WHERE {WEEK_2} AND activity_name = 'get' and http_request.url.path = '/apis/coordination.k8s.io/v1/' LIMIT 25",
    "eks updates": "SELECT activity_name, time_dt, api.request, http_request.url.path, src_endpoint.ip, resources"
    f" FROM {{eks_audit_2_0}} WHERE {WEEK_2} AND src_endpoint.ip = '10.0.97.167' AND activity_name = 'Update' LIMIT 25",
    "eks resource": "SELECT activity_name, time_dt, api.request, api.response, resource.name FROM {eks_audit_2_0},"
    f" UNNEST(resources) AS t(resource) WHERE {WEEK_2} AND resource.name = 'kube-controller-manager' LIMIT 25",
    "denied calls": "SELECT time_dt, api.service.name, api.operation, api.response.error, api.response.message,"
    " api.response.data, cloud.region, actor.user.uid, src_endpoint.ip, http_request.user_agent"
    f" FROM {{cloud_trail_mgmt_2_0}} WHERE {WEEK_2} AND api.response.error in {DENIED} ORDER BY time desc LIMIT 25",
    "from an address": "SELECT api.request.uid, time_dt, api.service.name, api.operation, cloud.region,"
    " actor.user.uid, src_endpoint.ip, http_request.user_agent FROM {cloud_trail_mgmt_2_0}"
    f" WHERE {WEEK_2} AND src_endpoint.ip = '203.0.113.10' ORDER BY time desc LIMIT 25",
    "iam": f"SELECT * FROM {{cloud_trail_mgmt_2_0}} WHERE {WEEK_2} AND api.service.name = 'iam.amazonaws.com'"
    " ORDER BY time desc LIMIT 25",
    "credential": "SELECT actor.user.uid, actor.user.uid_alt, actor.user.account.uid, cloud.region"
    f" FROM {{cloud_trail_mgmt_2_0}} WHERE {WEEK_2} AND actor.user.credential_uid = 'AKIAI44QH8DHBEXAMPLE' LIMIT 25",
    "failed records": "SELECT actor.user.uid, actor.user.uid_alt, actor.user.account.uid, cloud.region"
    f" FROM {{cloud_trail_mgmt_2_0}} WHERE status='failed' and {WEEK_2} ORDER BY time DESC LIMIT 25",
    "dns": "SELECT time_dt, src_endpoint.instance_uid, src_endpoint.ip, src_endpoint.port, query.hostname, rcode"
    f" FROM {{route53_2_0}} WHERE {WEEK_2} ORDER BY time DESC LIMIT 25",
    "dns of a name": "SELECT time_dt, src_endpoint.instance_uid, src_endpoint.ip, query.hostname, rcode, answers"
    f" FROM {{route53_2_0}} WHERE query.hostname LIKE 's3.amazonaws.com.' and {WEEK_2} ORDER BY time DESC LIMIT 25",
    "dns without an answer": "SELECT time_dt, src_endpoint.ip, query.hostname, rcode, answers FROM {route53_2_0}"
    f" WHERE cardinality(answers) = 0 and {WEEK_2} LIMIT 25",
    "dns with an answer": "SELECT time_dt, src_endpoint.ip, query.hostname, rcode, answer.rdata FROM {route53_2_0},"
    f" UNNEST(answers) as st(answer) WHERE answer.rdata='192.0.2.1' AND {WEEK_2} LIMIT 25",
    "new findings": "SELECT time_dt, finding_info, severity_id, status FROM {sh_findings_2_0}"
    f" WHERE {WEEK_2} AND severity_id >= 3 AND status = 'New' ORDER BY time DESC LIMIT 25",
    "credentials outside": "SELECT time_dt, finding_info, severity_id, status FROM {sh_findings_2_0}"
    " CROSS JOIN UNNEST(finding_info.types) AS t(type) WHERE type LIKE '%InstanceCredentialExfiltration%'"
    " ORDER BY time_dt DESC LIMIT 25",
    "findings of instances": "SELECT accountid, COUNT(*) AS total_findings FROM {sh_findings_2_0}"
    " WHERE any_match(resources, element -> element.type = 'AwsEc2Instance') GROUP BY accountid"
    " ORDER BY total_findings DESC LIMIT 10",
    "duplicate findings": "SELECT finding_info.uid, MAX(time_dt) AS time, ARBITRARY(region) AS region,"
    " ARBITRARY(accountid) AS accountid, ARBITRARY(finding_info) AS finding,"
    f" ARBITRARY(vulnerabilities) AS vulnerabilities FROM {{sh_findings_2_0}} WHERE {WEEK_2}"
    " GROUP BY finding_info.uid LIMIT 25",
    "not informational": "SELECT time_dt, finding_info.title, finding_info, severity FROM {sh_findings_2_0}"
    f" WHERE severity != 'Informational' and {WEEK_2} LIMIT 25",
    "findings of buckets": "SELECT * FROM {sh_findings_2_0}"
    " WHERE any_match(resources, element -> element.type = 'AwsS3Bucket') LIMIT 25",
    "cvss": "SELECT DISTINCT finding_info.uid time_dt, metadata, finding_info, vulnerabilities, resource"
    " FROM {sh_findings_2_0}, UNNEST(vulnerabilities) AS t(vulnerability), UNNEST(vulnerability.cve.cvss) AS t(cvs)"
    " WHERE cvs.base_score > 1.0 AND vulnerabilities is NOT NULL LIMIT 25",
    "cve": "SELECT * FROM {sh_findings_2_0}"
    " WHERE any_match(vulnerabilities, element -> element.cve.uid = 'CVE-2026-10001') LIMIT 25",
    "products": f"SELECT metadata.product.name, count(*) FROM {{sh_findings_2_0}} WHERE {WEEK_2}"
    " GROUP BY metadata.product.name ORDER BY metadata.product.name DESC LIMIT 25",
    "resource types": f'SELECT count(*) AS "Total", resource.type FROM {{sh_findings_2_0}} WHERE {WEEK_2}'
    " GROUP BY resource.type ORDER BY count(*) DESC LIMIT 25",
    "vulnerable packages": f"SELECT vulnerabilities FROM {{sh_findings_2_0}} WHERE {WEEK_2}"
    " AND vulnerabilities is NOT NULL LIMIT 25",
    "changed findings": "SELECT status, finding_info.title, finding_info.created_time_dt, finding_info,"
    " finding_info.uid, finding_info.first_seen_time_dt, finding_info.last_seen_time_dt,"
    f" finding_info.modified_time_dt FROM {{sh_findings_2_0}} WHERE {WEEK_2} LIMIT 25",
    "flows of regions": f"SELECT * FROM {{vpc_flow_2_0}} WHERE {WEEK_2}"
    " AND region in ('us-east-1','us-east-2','us-west-2') LIMIT 25",
    "flows of a port": f"SELECT * FROM {{vpc_flow_2_0}} WHERE {WEEK_2} AND src_endpoint.ip = '192.0.2.1'"
    " AND src_endpoint.port = 22 LIMIT 25",
    "destinations": f'SELECT COUNT(DISTINCT dst_endpoint.ip) AS "Total" FROM {{vpc_flow_2_0}} WHERE {WEEK_2} LIMIT 25',
    "flows of a network": f"SELECT * FROM {{vpc_flow_2_0}} WHERE {WEEK_2}"
    " AND split_part(src_endpoint.ip,'.', 1)='198'AND split_part(src_endpoint.ip,'.', 2)='51' LIMIT 25",
    "https": "SELECT dst_endpoint.ip as dst, src_endpoint.ip as src, traffic.packets FROM {vpc_flow_2_0}"
    f" WHERE {WEEK_2} AND dst_endpoint.port = 443 GROUP BY dst_endpoint.ip, traffic.packets, src_endpoint.ip"
    " ORDER BY traffic.packets DESC LIMIT 25",
    "https by packets": f"SELECT traffic.packets, dst_endpoint.ip FROM {{vpc_flow_2_0}} WHERE {WEEK_2}"
    " AND dst_endpoint.port = 443 GROUP BY traffic.packets, dst_endpoint.ip ORDER BY traffic.packets DESC LIMIT 25",
    "between two": "SELECT start_time_dt, end_time_dt, src_endpoint.interface_uid, connection_info.direction,"
    " src_endpoint.ip, dst_endpoint.ip, src_endpoint.port, dst_endpoint.port, traffic.packets, traffic.bytes"
    f" FROM {{vpc_flow_2_0}} WHERE {WEEK_2} AND( src_endpoint.ip = '10.20.1.107' AND dst_endpoint.ip = '203.0.113.66')"
    " OR ( src_endpoint.ip = '203.0.113.66' AND dst_endpoint.ip = '10.20.1.107') ORDER BY start_time_dt ASC LIMIT 25",
    "inbound": f"SELECT * FROM {{vpc_flow_2_0}} WHERE {WEEK_2} AND connection_info.direction = 'Inbound' LIMIT 25",
    "outbound": f"SELECT * FROM {{vpc_flow_2_0}} WHERE {WEEK_2} AND connection_info.direction = 'Outbound' LIMIT 25",
    "rejected": f"SELECT * FROM {{vpc_flow_2_0}} WHERE {WEEK_2} AND action = 'Denied' LIMIT 25",
    "posts": "SELECT time_dt, activity_name, src_endpoint.ip, http_request.url.path, http_request.url.hostname,"
    f" http_request.http_method, http_request.http_headers FROM {{waf_2_0}} WHERE {WEEK_2}"
    " AND src_endpoint.ip = '198.51.100.77' AND activity_name = 'Post' LIMIT 25",
    "managed rules": "SELECT time_dt, src_endpoint.ip, http_request.url.path, firewall_rule.uid, firewall_rule.type,"
    " firewall_rule.condition, firewall_rule.match_location, firewall_rule.match_details, firewall_rule.rate_limit"
    f" FROM {{waf_2_0}} WHERE {WEEK_2} AND firewall_rule.type = 'MANAGED_RULE_GROUP' LIMIT 25",
    "regex rules": "SELECT time_dt, activity_name, http_request.url.hostname, firewall_rule.match_details"
    f" FROM {{waf_2_0}} WHERE {WEEK_2} AND firewall_rule.condition = 'REGEX' LIMIT 25",
    "denied gets": "SELECT time_dt, activity_name, action, src_endpoint.ip, http_request.url.path, firewall_rule.uid"
    f" FROM {{waf_2_0}} WHERE {WEEK_2} AND http_request.url.path = '/.aws/credentials' AND action = 'Denied' LIMIT 25",
    "gets by country": "SELECT count(*) as Total, src_endpoint.location.country AS Country, activity_name, action,"
    " src_endpoint.ip, http_request.url.path, http_request.url.hostname, http_request.http_method FROM {waf_2_0}"
    f" WHERE {WEEK_2} AND activity_name = 'Get' AND http_request.url.path = '/.aws/credentials'"
    " GROUP BY src_endpoint.location.country, activity_name, action, src_endpoint.ip, http_request.url.path,"
    " http_request.url.hostname, http_request.http_method",
}
SV2 |= {table: f"SELECT * FROM {{{table}}} WHERE {WEEK_2} LIMIT 25" for table in TABLES_2}
SV2 |= {
    f"{table}: {name}": f"SELECT * FROM {{{table}}} WHERE {condition} LIMIT 25"
    for table in ("cloud_trail_mgmt_2_0", "waf_2_0")
    for name, condition in {
        "a year": "time_dt > CURRENT_TIMESTAMP - INTERVAL '1' YEAR",
        "a month": "time_dt > CURRENT_TIMESTAMP - INTERVAL '1' MONTH",
        "hours": "time_dt > CURRENT_TIMESTAMP - INTERVAL '12' HOUR",
        "minutes": "time_dt > CURRENT_TIMESTAMP - INTERVAL '5' MINUTE",
        "the week before": "time_dt BETWEEN CURRENT_TIMESTAMP - INTERVAL '14' DAY"
        " AND CURRENT_TIMESTAMP - INTERVAL '7' DAY",
        "since": "time_dt >= TIMESTAMP '2023-03-01'",
    }.items()
}

LOGINS = "array_agg(DISTINCT(src_endpoint.ip) ORDER BY src_endpoint.ip) AS sourceips"
AGENTS = "array_agg(DISTINCT(http_request.user_agent) ORDER BY http_request.user_agent) AS user_agents"
ONE_USER = (
    "SELECT time, eventday, actor.user.uuid, actor.user.name, actor.user.credential_uid, api.operation,"
    " unmapped['requestParameters.userName'] as requestParametersUsername,"
    " unmapped['requestParameters.policyArn'] as requestParametersPolicyArn, api.response FROM {cloud_trail_mgmt_1_0}"
)
VIEW = (
    'WITH sh_findings_view AS (SELECT metadata.product.version "SchemaVersion", metadata.product.feature.uid'
    ' "GeneratorId", metadata.product.feature.name "ProductName", metadata.product.uid "ProductArn",'
    ' metadata.product.vendor_name "CompanyName", metadata.product.name "Security Hub", metadata.version "Version",'
    ' FROM_UNIXTIME(CAST(time AS DOUBLE)/1000.0) AS "Time", confidence "Confidence", severity "Severity",'
    ' state "WorkflowStatus", cloud.account_uid "AWSAccountId", element_at(resources,1).type "ResourceType",'
    ' element_at(resources,1).uid "ResourceId", element_at(resources,1).cloud_partition "ResourcePartition",'
    ' element_at(resources,1).region "ResourceRegion", element_at(resources,1).details "resources.details",'
    ' FROM_UNIXTIME(CAST(finding.created_time AS DOUBLE)/1000.0) AS "CreatedAt", finding.uid "Id",'
    ' finding.desc "Description", finding.title "Title", split_part(finding.title,\' \',1) AS'
    ' "ProductFields.ControlId", FROM_UNIXTIME(CAST(finding.modified_time AS DOUBLE)/1000.0) AS "UpdatedAt",'
    ' FROM_UNIXTIME(CAST(finding.first_seen_time AS DOUBLE)/1000.0) AS "FirstObservedAt",'
    ' FROM_UNIXTIME(CAST(finding.last_seen_time AS DOUBLE)/1000.0) AS "LastObservedAt",'
    ' element_at(finding.types,1) "Types", finding.remediation.desc "RecomendationText",'
    ' finding.src_url "RecommendationUrl", compliance.status "ComplianceStatus",'
    ' compliance.status_detail "Compliance.StatusReasons.Description", class_name "SecurityFinding",'
    " unmapped['Severity_Normalized'] \"SeverityNormalized\", unmapped['Severity_Original'] \"SeverityOriginal\","
    ' unmapped[\'FindingProviderFields\'] "FindingProviderFields", region "Region", accountid "AccountId",'
    ' eventday "EventDay" FROM {sh_findings_1_0}) '
)

BOOTSTRAP = {
    "events by region": f"SELECT region, count(*) as eventcount FROM {{cloud_trail_mgmt_1_0}} WHERE {SCOPE}"
    " GROUP BY region ORDER BY eventcount DESC",
    "events by operation": "SELECT region, api.operation, count(*) as operation_count FROM {cloud_trail_mgmt_1_0}"
    f" WHERE {SCOPE} GROUP BY region, api.operation ORDER BY region, operation_count DESC",
    "logins by name": f"SELECT actor.user.uuid, api.operation, {LOGINS} FROM {{cloud_trail_mgmt_1_0}}"
    " WHERE actor.user.uuid IS NOT NULL AND (api.operation = 'AssumeRole' OR api.operation = 'ConsoleLogin')"
    f" AND {SCOPE} GROUP BY actor.user.uuid, api.operation ORDER BY api.operation",
    "logins by activity": f"SELECT actor.user.uuid, api.operation, {LOGINS} FROM {{cloud_trail_mgmt_1_0}}"
    f" WHERE actor.user.uuid IS NOT NULL AND activity_id = 1 AND {SCOPE}"
    " GROUP BY actor.user.uuid, api.operation ORDER BY api.operation",
    "what users did": f"SELECT actor.user.uuid, array_agg(DISTINCT(api.operation)) AS operations, {LOGINS}, {AGENTS}"
    f" FROM {{cloud_trail_mgmt_1_0}} WHERE api.operation <> 'AssumeRole' AND {CHANGES_ONLY} AND {SCOPE}"
    " GROUP BY actor.user.uuid",
    "what users did, with names": "SELECT actor.user.uuid, actor.user.name, array_agg(DISTINCT(api.operation)"
    f" ORDER BY api.operation) AS operations, {LOGINS}, {AGENTS} FROM {{cloud_trail_mgmt_1_0}}"
    f" WHERE api.operation <> 'AssumeRole' AND {CHANGES_ONLY} AND {SCOPE}"
    " GROUP BY actor.user.uuid, actor.user.uid, actor.user.name",
    "one user": f"{ONE_USER} WHERE actor.user.type = 'IAMUser' AND actor.user.name = 'alice' AND {SCOPE};",
    "one key": f"{ONE_USER} WHERE actor.user.type = 'IAMUser'"
    f" AND actor.user.credential_uid = 'AKIAI44QH8DHBEXAMPLE' AND {SCOPE};",
    "changes of iam": "SELECT time, actor.user.uuid, actor.user.name, api.operation, unmapped['requestParameters']"
    f" AS request_parameters FROM {{cloud_trail_mgmt_1_0}} WHERE api.service.name = 'iam.amazonaws.com'"
    f" AND {CHANGES_ONLY} AND api.response.error IS NULL AND {SCOPE} ORDER BY accountid, time",
    "new keys": "SELECT time, actor.user.uuid, actor.user.name, api.operation,"
    " unmapped['responseElements.accessKey.userName'] AS user_name,"
    " unmapped['responseElements.accessKey.accessKeyId'] AS access_key FROM {cloud_trail_mgmt_1_0}"
    f" WHERE api.operation = 'CreateAccessKey' AND api.response.error IS NULL AND {SCOPE} ORDER BY accountid, time",
    "new keys, as JSON": "SELECT time, JSON_EXTRACT_SCALAR(JSON_EXTRACT(unmapped['responseElements'],"
    " '$.accessKey'), '$.userName') AS user_name FROM {cloud_trail_mgmt_1_0}"
    f" WHERE api.operation = 'CreateAccessKey' AND {SCOPE}",
    "new passwords": "SELECT time, actor.user.uuid, actor.user.name, api.operation, user.name AS"
    ' "username with password modified" FROM {cloud_trail_mgmt_1_0}'
    f" WHERE api.operation IN ('UpdateLoginProfile', 'CreateLoginProfile') AND api.response.error IS NULL AND {SCOPE}"
    " ORDER BY accountid, time",
    "from public addresses": "SELECT * FROM {cloud_trail_mgmt_1_0} WHERE src_endpoint.ip <> ''"
    + "".join(
        f" AND NOT {inside(network, 'src_endpoint')}" for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    )
    + f" AND {SCOPE}",
    "one function": "SELECT * FROM {lambda_execution_1_0}"
    " WHERE any_match(transform(resources, x -> x.uid), y -> y like '%MyLambdaFunction%')"
    f" AND {SCOPE};",
    "pairs": "SELECT region, src_endpoint.ip as src_ip, dst_endpoint.ip as dst_ip, count(*) as record_count"
    f" FROM {{vpc_flow_1_0}} WHERE {SCOPE} GROUP BY region, src_endpoint.ip, dst_endpoint.ip"
    " ORDER BY record_count DESC",
    "bytes of a pair": "SELECT region, src_endpoint.ip as src_ip, dst_endpoint.ip as dst_ip, sum(traffic.bytes) as"
    " byte_count FROM {vpc_flow_1_0} WHERE (src_endpoint.ip = '192.0.2.1' OR dst_endpoint.ip = '192.0.2.1')"
    f" AND (src_endpoint.ip = '203.0.113.2' OR dst_endpoint.ip = '203.0.113.2') AND {SCOPE}"
    " GROUP BY region, dst_endpoint.instance_uid, src_endpoint.ip, dst_endpoint.ip ORDER BY byte_count DESC",
    "bytes of an instance": "SELECT region, dst_endpoint.instance_uid as dst_instance_id, src_endpoint.ip as src_ip,"
    " src_endpoint.port as src_port, dst_endpoint.ip as dst_ip, sum(traffic.bytes) as byte_count FROM {vpc_flow_1_0}"
    f" WHERE dst_endpoint.instance_uid = 'i-000000000000000' AND src_endpoint.port = 443 AND {SCOPE} GROUP BY region,"
    " dst_endpoint.instance_uid, src_endpoint.ip, src_endpoint.port, dst_endpoint.ip ORDER BY byte_count DESC",
    "bytes of an address": "SELECT src_endpoint.ip as src_ip, dst_endpoint.ip as dst_ip, src_endpoint.port as"
    " src_port, dst_endpoint.port as dst_port, sum(traffic.bytes) as byte_count FROM {vpc_flow_1_0}"
    f" WHERE (src_endpoint.ip = '192.0.2.1' OR dst_endpoint.ip = '192.0.2.1') AND {SCOPE}"
    " GROUP BY src_endpoint.ip, dst_endpoint.ip, src_endpoint.port, dst_endpoint.port ORDER BY byte_count DESC",
    "between two": "SELECT from_unixtime(start_time/1000) AS start_time, from_unixtime(end_time/1000) AS end_time,"
    " src_endpoint.ip, dst_endpoint.ip, src_endpoint.port, dst_endpoint.port, traffic.packets, traffic.bytes,"
    " connection_info.direction, activity_name FROM {vpc_flow_1_0}"
    " WHERE (src_endpoint.ip = '192.0.2.1' AND dst_endpoint.ip = '192.0.2.254')"
    " OR (src_endpoint.ip = '192.0.2.254' AND dst_endpoint.ip = '192.0.2.1') ORDER BY start_time ASC",
    "first and last seen": "SELECT src_endpoint.ip, from_unixtime(min(start_time)/1000) AS first_seen,"
    " from_unixtime(max(end_time)/1000) AS last_seen, array_agg(DISTINCT(dst_endpoint.ip)),"
    " array_agg(DISTINCT(dst_endpoint.instance_uid)), array_agg(DISTINCT(dst_endpoint.port)) FROM {vpc_flow_1_0}"
    f" WHERE dst_endpoint.port < 32768 -- no ephemeral ports\n AND {SCOPE} GROUP BY src_endpoint.ip"
    " ORDER by first_seen ASC",
    "large transfers": "SELECT vpcflow.eventday, vpcflow.src_endpoint.ip as src_endpoint_ip, vpcflow.dst_endpoint.ip"
    " as dst_endpoint_ip, sum(vpcflow.traffic.bytes) as byte_count FROM {vpc_flow_1_0} as vpcflow INNER JOIN (SELECT"
    " src_endpoint.ip as src_endpoint_ip, sum(traffic.bytes) as byte_count FROM {vpc_flow_1_0} WHERE src_endpoint.ip"
    f" <> '-' AND contains('192.0.2.0/24', cast(src_endpoint.ip as IPADDRESS)) AND {SCOPE} GROUP BY region,"
    " dst_endpoint.instance_uid, src_endpoint.ip, dst_endpoint.ip, dst_endpoint.port ORDER BY byte_count DESC LIMIT 10"
    f" ) as top_n ON top_n.src_endpoint_ip = vpcflow.src_endpoint.ip WHERE {SCOPE} GROUP BY vpcflow.eventday,"
    " vpcflow.src_endpoint.ip, vpcflow.dst_endpoint.ip ORDER BY vpcflow.eventday ASC, vpcflow.src_endpoint.ip ASC,"
    " vpcflow.dst_endpoint.ip ASC, byte_count DESC",
    "private and public": "SELECT * FROM {vpc_flow_1_0} WHERE src_endpoint.ip <> '-' AND dst_endpoint.ip <> '-' AND"
    f" ((NOT ({private('src_endpoint')}) AND ({private('dst_endpoint')})) OR (NOT ({private('dst_endpoint')})"
    f" AND ({private('src_endpoint')}))) AND {SCOPE}",
    "internal": "SELECT * FROM {vpc_flow_1_0} WHERE src_endpoint.ip <> '-' AND dst_endpoint.ip <> '-' AND"
    f" {inside('10.0.0.0/8', 'src_endpoint')} AND {inside('10.0.0.0/8', 'dst_endpoint')} AND {SCOPE}",
    "not internal": "SELECT * FROM {vpc_flow_1_0} WHERE src_endpoint.ip <> '-' AND dst_endpoint.ip <> '-' AND NOT"
    f" ({inside('10.0.0.0/8', 'src_endpoint')} AND {inside('10.0.0.0/8', 'dst_endpoint')}) AND {SCOPE}",
    "instances by name": "SELECT query.hostname, query.type, cardinality(array_distinct(filter(array_agg(src_endpoint),"
    " q -> q.instance_uid IS NOT NULL))) as instance_count, array_distinct(filter(array_agg(src_endpoint),"
    f" q -> q.instance_uid IS NOT NULL)) as instances FROM {{route53_1_0}} WHERE {SCOPE}"
    " GROUP BY query.hostname, query.type ORDER by instance_count DESC;",
    "queries by name": "SELECT query.hostname, query.type, count(*) as query_count FROM {route53_1_0}"
    f" WHERE {SCOPE} GROUP BY query.hostname, query.type ORDER BY query_count DESC;",
    "queries of a type": "SELECT query.hostname, query.type, count(*) as query_count FROM {route53_1_0}"
    f" WHERE query.type = 'A' AND {SCOPE} GROUP BY query.hostname, query.type ORDER BY query_count DESC;",
    "domains": "SELECT element_at(split(query.hostname,'.'),-2) AS tld, element_at(split(query.hostname,'.'),-3) AS"
    f" sld, query.hostname, query.type, count(*) AS query_count FROM {{route53_1_0}} WHERE query.type = 'A' AND {SCOPE}"
    " GROUP BY query.hostname, query.type ORDER BY query_count DESC;",
    "resolved to": "SELECT * FROM {route53_1_0} WHERE contains(transform(answers, x-> x.rdata), '203.0.113.2')"
    f" AND {SCOPE};",
    "time of findings": 'SELECT FROM_UNIXTIME(CAST(time AS DOUBLE)/1000.0) AS "Time" FROM {sh_findings_1_0}'
    " WHERE cloud.account_uid = '111122223333' LIMIT 10;",
    "controls": "SELECT split_part(finding.title,' ',1) AS \"ProductFields.ControlId\" FROM {sh_findings_1_0}"
    " WHERE cloud.account_uid = '111122223333' LIMIT 10;",
    "view, one product": f"{VIEW}SELECT * FROM sh_findings_view WHERE lower(ProductName) = 'macie'"
    " AND AWSAccountId = '111122223333' LIMIT 10;",
    "view, two products": f"{VIEW}SELECT * FROM sh_findings_view WHERE lower(ProductName) in ('macie', 'config')"
    " AND AWSAccountId = '111122223333' LIMIT 10;",
    "view, in an order": f"{VIEW}SELECT *, CASE WHEN lower(Severity) = 'high' THEN 1 WHEN lower(Severity) = 'medium'"
    " THEN 2 WHEN lower(Severity) = 'low' THEN 3 ELSE 4 END as display_order FROM sh_findings_view"
    " WHERE lower(ProductName) = 'config' AND AWSAccountId = '111122223333' AND lower(WorkFlowStatus) = 'new'"
    " AND lower(Severity) in ('high', 'medium', 'low') ORDER BY display_order LIMIT 10;",
}
