"""Sources: one module a transport, and `ocsflake.sources.streams`, which cuts what they read into batches."""
