"""What Microsoft Entra ID calls its directory activities, and the systems that people sign in from.

Microsoft 365 writes the same names with a full stop behind them.

The activities: https://learn.microsoft.com/entra/identity/monitoring-health/reference-audit-activities
"""

from __future__ import annotations

__all__ = ["ACCOUNT", "GROUP", "OPERATION", "SYSTEM"]

ACCOUNT = {
    "Add user": 1,
    "Admin deleted security info": 11,
    "Admin registered security info": 10,
    "Change password (self-service)": 3,
    "Change user password": 3,
    "Create user": 1,
    "Delete user": 6,
    "Disable account": 5,
    "Disable Strong Authentication": 11,
    "Enable account": 2,
    "Enable Strong Authentication": 10,
    "Hard Delete user": 6,
    "Reset password (by admin)": 4,
    "Reset password (self-service)": 4,
    "Reset user password": 4,
    "Unlock user account": 12,
    "Unlock user account (self-service)": 12,
    "User deleted security info": 11,
    "User registered security info": 10,
}
"""Activities on accounts to the ``activity_id`` of Account Change."""

GROUP = {
    "Add app role assignment to group": 1,
    "Add group": 6,
    "Add member to group": 3,
    "Add owner to group": 99,
    "Delete group": 5,
    "Hard Delete group": 5,
    "Remove app role assignment from group": 2,
    "Remove member from group": 4,
    "Remove owner from group": 99,
    "Restore Group": 99,
    "Update group": 99,
}
"""Activities on groups to the ``activity_id`` of Group Management."""

OPERATION = {
    "Add": 1,
    "Create": 1,
    "Get": 2,
    "List": 2,
    "Read": 2,
    "Change": 3,
    "Set": 3,
    "Update": 3,
    "Delete": 4,
    "Hard Delete": 4,
    "Remove": 4,
}
"""First words of other activities to the ``activity_id`` of Entity Management."""

SYSTEM = (
    {"Windows": 100, "WindowsPhone": 101, "Windows Phone": 101, "Linux": 200, "Android": 201}
    | dict.fromkeys(["MacOs", "MacOS", "macOS", "Mac OS"], 300)
    | dict.fromkeys(["Ios", "iOS", "IOS"], 301)
)
"""Beginnings of the names of operating systems to ``os.type_id``."""
