-- Audit logs of Google Cloud to OCSF 1.1 in DuckDB. ways.py fills in paths, and the rules that ocsflake has as tables.
COPY (
  WITH raw AS (
    FROM read_json(${files}, format = 'newline_delimited', maximum_object_size = 4194304, columns = {
      insertId: 'VARCHAR', "timestamp": 'VARCHAR', receiveTimestamp: 'VARCHAR', severity: 'VARCHAR', logName: 'VARCHAR',
      resource: 'STRUCT("type" VARCHAR, labels STRUCT(project_id VARCHAR, "zone" VARCHAR))',
      protoPayload: 'STRUCT(status STRUCT(code INT, message VARCHAR),
        authenticationInfo STRUCT(principalEmail VARCHAR, principalSubject VARCHAR),
        requestMetadata STRUCT(callerIp VARCHAR, callerSuppliedUserAgent VARCHAR), serviceName VARCHAR,
        methodName VARCHAR, resourceName VARCHAR, authorizationInfo STRUCT("permission" VARCHAR, granted BOOLEAN)[],
        request JSON, response JSON)'
    })
  ), taken AS (
    SELECT *, protoPayload AS p, epoch_ns("timestamp"::TIMESTAMP_NS) // 1000000 AS "ms",
      epoch_ms(receiveTimestamp::TIMESTAMP) AS logged, resource.labels.project_id AS project,
      resource.labels."zone" AS place, regexp_extract(protoPayload.methodName, '[^./]+$$') AS word,
      regexp_matches(protoPayload.requestMetadata.callerIp, '^[0-9.]+$$|:') AS is_ip,
      regexp_matches(protoPayload.authenticationInfo.principalEmail, '\.gserviceaccount\.com$$') AS is_machine
    FROM raw
  ), decided AS (
    SELECT *, coalesce(${gcp_map}[regexp_extract(word, '^(?:${gcp_prefixes})')], 99) AS activity FROM taken
  )
  SELECT
    6003 AS class_uid, 6 AS category_uid, activity AS activity_id, 600300 + activity AS type_uid, "ms" AS time,
    make_timestamp_ms("ms") AS time_dt, 1 AS severity_id,
    CASE WHEN p.status.code IS NULL THEN 1 ELSE 2 END AS status_id, p.status.code::VARCHAR AS status_code,
    p.status.message AS status_detail,
    {uid: insertId, log_name: logName, log_level: severity, logged_time: logged,
     logged_time_dt: make_timestamp_ms(logged), original_time: "timestamp", version: '1.1.0',
     profiles: ['cloud', 'datetime'], product: {name: 'Cloud Audit Logs', vendor_name: 'Google Cloud',
     feature: {name: regexp_extract(logName, 'cloudaudit\.googleapis\.com(?:%2F|/)([a-z_]+)$$', 1)}}} AS metadata,
    {provider: 'GCP', account: {uid: project, "type": 'GCP Project', type_id: 99}, project_uid: project,
     region: regexp_extract(place, '^([a-z]+-[a-z]+[0-9]+)-[a-z0-9]+$$', 1), "zone": place} AS cloud,
    {operation: p.methodName, service: {name: p.serviceName}, request: {uid: insertId, data: p.request::VARCHAR},
     response: {data: p.response::VARCHAR, code: p.status.code, error: ${gcp_codes}[p.status.code::VARCHAR],
                message: p.status.message}} AS api,
    {user: {name: p.authenticationInfo.principalEmail, email_addr: p.authenticationInfo.principalEmail,
            uid: p.authenticationInfo.principalSubject, type_id: CASE WHEN is_machine THEN 99 ELSE 1 END},
     authorizations: [{decision: CASE WHEN a.granted THEN 'allowed' ELSE 'denied' END, policy: {name: a."permission"}}
                      FOR a IN p.authorizationInfo]} AS actor,
    {ip: CASE WHEN is_ip THEN p.requestMetadata.callerIp END,
     name: CASE WHEN NOT is_ip THEN p.requestMetadata.callerIp END} AS src_endpoint,
    {user_agent: p.requestMetadata.callerSuppliedUserAgent} AS http_request,
    [{uid: p.resourceName, "type": resource."type"}] AS resources,
    project AS accountId, strftime(make_timestamp_ms("ms"), '%Y%m%d') AS eventDay
  FROM decided ORDER BY time
) TO ${out} (FORMAT parquet, PARTITION_BY (accountId, eventDay), COMPRESSION zstd, COMPRESSION_LEVEL 1);
