pytest_plugins = ["ocsflake.testing.fixtures"]
