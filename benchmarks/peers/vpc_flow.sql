-- VPC flow logs, version 2 or 5, to OCSF 1.1 in DuckDB. ways.py fills in paths and columns.
COPY (
  WITH raw AS (
    FROM read_csv(${files}, delim = ' ', header = true, nullstr = '-', auto_detect = false, columns = ${columns})
  ), lined AS (
    SELECT *, ${later}, "start"::BIGINT * 1000 AS "begin" FROM raw
  ), sides AS (
    SELECT *, coalesce(pkt_src, srcaddr) AS src, coalesce(pkt_dst, dstaddr) AS dst, direction = 'ingress' AS inbound,
      CASE action WHEN 'ACCEPT' THEN 6 WHEN 'REJECT' THEN 5 ELSE 0 END AS activity,
      CASE action WHEN 'ACCEPT' THEN 1 WHEN 'REJECT' THEN 2 ELSE 0 END AS act
    FROM lined
  ), placed AS (
    SELECT *, (inbound IS NOT TRUE OR src IS NULL) AS here, (inbound IS TRUE OR dst IS NULL) AS there FROM sides
  )
  SELECT
    "begin" AS time, make_timestamp_ms("begin") AS time_dt, "begin" AS start_time, make_timestamp_ms("begin") AS start_time_dt,
    "end"::BIGINT * 1000 AS end_time, make_timestamp_ms("end"::BIGINT * 1000) AS end_time_dt,
    4 AS category_uid, 4001 AS class_uid, activity AS activity_id, 400100 + activity AS type_uid, 1 AS severity_id,
    act AS action_id, act AS disposition_id, "log-status" AS status_code,
    {product: {version: version, name: 'Amazon VPC', vendor_name: 'AWS', feature: {name: 'Flowlogs'}}, version: '1.1.0',
     profiles: ['cloud', 'datetime', 'security_control']} AS metadata,
    {provider: 'AWS', account: {uid: "account-id"}, region: region_name, zone: az} AS cloud,
    {ip: src, port: srcport::INT, svc_name: src_service, interface_uid: CASE WHEN here THEN "interface-id" END,
     vpc_uid: CASE WHEN here THEN vpc END, subnet_uid: CASE WHEN here THEN subnet END,
     instance_uid: CASE WHEN here THEN instance END} AS src_endpoint,
    {ip: dst, port: dstport::INT, svc_name: dst_service, interface_uid: CASE WHEN there THEN "interface-id" END,
     vpc_uid: CASE WHEN there THEN vpc END, subnet_uid: CASE WHEN there THEN subnet END,
     instance_uid: CASE WHEN there THEN instance END} AS dst_endpoint,
    {protocol_num: protocol::INT, protocol_name: ${protocol_map}[protocol], tcp_flags: flags::INT,
     direction_id: CASE direction WHEN 'ingress' THEN 1 WHEN 'egress' THEN 2 ELSE 0 END,
     boundary_id: path::INT + 3} AS connection_info,
    {packets: packets::BIGINT, bytes: bytes::BIGINT} AS traffic,
    list_filter([{name: 'dst_endpoint.ip', "type": 'IP Address', type_id: 2, value: dst},
                 {name: 'src_endpoint.ip', "type": 'IP Address', type_id: 2, value: src}],
                lambda o: o.value IS NOT NULL) AS observables,
    "account-id" AS accountId, strftime(make_timestamp_ms("begin"), '%Y%m%d') AS eventDay
  FROM placed ORDER BY time
) TO ${out} (FORMAT parquet, PARTITION_BY (accountId, eventDay), COMPRESSION zstd, COMPRESSION_LEVEL 1);
