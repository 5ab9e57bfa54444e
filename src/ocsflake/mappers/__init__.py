"""The mappers of ocsflake: one file for each log type, nothing but its table and its enums."""
