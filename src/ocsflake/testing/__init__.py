"""What tests of ocsflake, and of plugins for it, are made of: suites to subclass, servers and stand-ins to start."""
