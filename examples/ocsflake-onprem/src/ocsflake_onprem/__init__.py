"""Linux sign-ins and sudo, and the Windows Security log, as OCSF, for ocsflake."""

__ocsflake_interface__ = 1
