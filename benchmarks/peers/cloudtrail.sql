-- CloudTrail to OCSF 1.1 in DuckDB. ways.py fills in paths, and the rules that ocsflake has as tables.
COPY (
  WITH raw AS (
    FROM read_json(${files}, format = 'newline_delimited', maximum_object_size = 4194304, columns = {
      eventVersion: 'VARCHAR', eventTime: 'TIMESTAMP', eventSource: 'VARCHAR', eventName: 'VARCHAR',
      awsRegion: 'VARCHAR', sourceIPAddress: 'VARCHAR', userAgent: 'VARCHAR', errorCode: 'VARCHAR',
      errorMessage: 'VARCHAR', requestParameters: 'JSON', responseElements: 'JSON', requestID: 'VARCHAR',
      eventID: 'VARCHAR', eventType: 'VARCHAR', recipientAccountId: 'VARCHAR', eventCategory: 'VARCHAR',
      vpcEndpointId: 'VARCHAR', resources: 'STRUCT(ARN VARCHAR, "type" VARCHAR)[]',
      userIdentity: 'STRUCT("type" VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, accessKeyId VARCHAR,
        userName VARCHAR, invokedBy VARCHAR, sessionContext STRUCT(sessionIssuer STRUCT(arn VARCHAR),
        attributes STRUCT(creationDate TIMESTAMP, mfaAuthenticated VARCHAR)))'
    })
  ), classed AS (
    SELECT *, userIdentity AS u, regexp_matches(sourceIPAddress, '^[0-9.]+$$|:') AS is_ip,
      CASE WHEN eventName IN (${sign_in}) THEN 3002
           WHEN eventName IN (${account_change}) AND eventSource IN (${identity_services}) THEN 3001
           ELSE 6003 END AS class
    FROM raw
  ), decided AS (
    SELECT *, CASE class WHEN 3002 THEN ${sign_in_map}[eventName] WHEN 3001 THEN ${account_change_map}[eventName]
      ELSE coalesce(${operation_map}[regexp_extract(eventName, '^(?:${prefixes})')], 99) END AS activity
    FROM classed
  )
  SELECT
    class AS class_uid, class // 1000 AS category_uid, activity AS activity_id, class * 100 + activity AS type_uid,
    epoch_ms(eventTime) AS time, eventTime AS time_dt, 1 AS severity_id,
    CASE WHEN errorCode IS NOT NULL OR (class = 3002 AND responseElements->>'ConsoleLogin' = 'Failure')
      THEN 2 ELSE 1 END AS status_id,
    {uid: eventID, event_code: eventType, version: '1.1.0', profiles: ['cloud', 'datetime'],
     product: {version: eventVersion, name: 'CloudTrail', vendor_name: 'AWS', feature: {name: eventCategory}}} AS metadata,
    {provider: 'AWS', region: awsRegion, account: {uid: recipientAccountId}} AS cloud,
    {operation: eventName, service: {name: eventSource},
     request: {uid: requestID, data: nullif(requestParameters::VARCHAR, 'null')},
     response: {data: nullif(responseElements::VARCHAR, 'null'), error: errorCode, message: errorMessage}} AS api,
    {user: {"type": u."type", type_id: coalesce(${user_type_map}[u."type"], 99), uid: u.arn, uid_alt: u.principalId,
            name: coalesce(u.userName, CASE WHEN u."type" = 'AWSService' THEN u.invokedBy END),
            account: {uid: u.accountId}, credential_uid: nullif(u.accessKeyId, '')},
     "session": {created_time: epoch_ms(u.sessionContext.attributes.creationDate),
                 created_time_dt: u.sessionContext.attributes.creationDate,
                 is_mfa: u.sessionContext.attributes.mfaAuthenticated::BOOLEAN, issuer: u.sessionContext.sessionIssuer.arn},
     invoked_by: u.invokedBy} AS actor,
    {ip: CASE WHEN is_ip THEN sourceIPAddress END, domain: CASE WHEN NOT is_ip THEN sourceIPAddress END,
     svc_name: CASE WHEN NOT is_ip THEN sourceIPAddress END, uid: vpcEndpointId} AS src_endpoint,
    {user_agent: userAgent} AS http_request,
    CASE WHEN class = 6003 THEN [{uid: r.ARN, "type": r."type"} FOR r IN resources] END AS resources,
    class AS source, recipientAccountId AS accountId, strftime(eventTime, '%Y%m%d') AS eventDay
  FROM decided ORDER BY time
) TO ${out} (FORMAT parquet, PARTITION_BY (source, accountId, eventDay), COMPRESSION zstd, COMPRESSION_LEVEL 1);
