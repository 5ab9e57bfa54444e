-- Sign-ins of Entra to OCSF 1.1 in DuckDB. ways.py fills in paths.
COPY (
  WITH raw AS (
    FROM read_json(${files}, format = 'newline_delimited', maximum_object_size = 4194304, columns = {
      "time": 'TIMESTAMP', category: 'VARCHAR', operationVersion: 'VARCHAR', tenantId: 'VARCHAR', durationMs: 'BIGINT',
      properties: 'STRUCT(id VARCHAR, createdDateTime TIMESTAMP, userId VARCHAR, userPrincipalName VARCHAR,
        userDisplayName VARCHAR, appId VARCHAR, appDisplayName VARCHAR, resourceId VARCHAR, resourceDisplayName VARCHAR,
        userType VARCHAR, ipAddress VARCHAR, userAgent VARCHAR, sessionId VARCHAR, correlationId VARCHAR,
        authenticationRequirement VARCHAR, status STRUCT(errorCode BIGINT, failureReason VARCHAR,
        additionalDetails VARCHAR), deviceDetail STRUCT(deviceId VARCHAR, displayName VARCHAR, operatingSystem VARCHAR),
        "location" STRUCT(city VARCHAR, state VARCHAR, countryOrRegion VARCHAR,
        geoCoordinates STRUCT(latitude DOUBLE, longitude DOUBLE)))'
    })
  ), taken AS (
    SELECT *, properties AS p, epoch_us(properties.createdDateTime) // 1000 AS "ms",
      epoch_us("time") // 1000 AS logged FROM raw
  )
  SELECT
    3002 AS class_uid, 3 AS category_uid, 1 AS activity_id, 300201 AS type_uid, "ms" AS time,
    make_timestamp_ms("ms") AS time_dt, 1 AS severity_id, CASE p.status.errorCode WHEN 0 THEN 1 ELSE 2 END AS status_id,
    p.status.errorCode::VARCHAR AS status_code, p.status.failureReason AS status_detail,
    p.status.additionalDetails AS message, durationMs AS duration,
    {uid: p.id, correlation_uid: p.correlationId, tenant_uid: tenantId, log_name: category, logged_time: logged,
     logged_time_dt: make_timestamp_ms(logged), version: '1.1.0', profiles: ['cloud', 'datetime'],
     product: {name: 'Microsoft Entra ID', vendor_name: 'Microsoft', version: operationVersion,
               feature: {name: category}}} AS metadata,
    {provider: 'Azure', account: {uid: tenantId, "type": 'Entra Tenant', type_id: 99}} AS cloud,
    {uid: p.userId, name: p.userPrincipalName, email_addr: p.userPrincipalName, full_name: p.userDisplayName,
     "type": p.userType, type_id: 1} AS "user",
    {uid: p.appId, name: p.appDisplayName} AS service,
    {uid: p.resourceId, svc_name: p.resourceDisplayName} AS dst_endpoint,
    {ip: p.ipAddress, uid: p.deviceDetail.deviceId, name: p.deviceDetail.displayName,
     os: {name: p.deviceDetail.operatingSystem, type_id: 100},
     "location": {city: p."location".city, region: p."location".state, country: p."location".countryOrRegion,
                  coordinates: [p."location".geoCoordinates.longitude, p."location".geoCoordinates.latitude]}
    } AS src_endpoint,
    {user_agent: p.userAgent} AS http_request, {uid: p.sessionId} AS "session",
    p.authenticationRequirement = 'multiFactorAuthentication' AS is_mfa, 0 AS auth_protocol_id,
    'interactiveUser' AS logon_type, 99 AS logon_type_id,
    tenantId AS accountId, strftime(make_timestamp_ms("ms"), '%Y%m%d') AS eventDay
  FROM taken ORDER BY time
) TO ${out} (FORMAT parquet, PARTITION_BY (accountId, eventDay), COMPRESSION zstd, COMPRESSION_LEVEL 1);
