"""What bodies of actions on servers may hold."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.values import IP, NAME, closed
from kilonova.compute.microversions import v

Schema = dict[str, Any]


def bare(action: str) -> Schema:
    """An action without anything to say: its value may be null (and, as upstream has it, anything else)."""
    return closed({action: {}}, action)


def nothing(action: str) -> Schema:
    """An action whose value must be null."""
    return closed({action: {"type": "null"}}, action)


REBOOT = closed(
    {"reboot": closed({"type": {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}}, "type")},
    "reboot",
)
LOCK = (
    (None, v(72), bare("lock")),
    (
        v(73),
        None,
        closed(
            {
                "lock": {
                    "type": ["object", "null"],
                    "properties": {"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}},
                    "additionalProperties": False,
                }
            },
            "lock",
        ),
    ),
)
RESET_STATE = closed(
    {"os-resetState": closed({"state": {"type": "string", "enum": ["active", "error"]}}, "state")},
    "os-resetState",
)
CONSOLE_OUTPUT = closed(
    {
        "os-getConsoleOutput": {
            "type": "object",
            "properties": {
                "length": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]{1,9}$", "minimum": -1}
            },
            "additionalProperties": False,
        }
    },
    "os-getConsoleOutput",
)
ADD_SECURITY_GROUP = closed(
    {"addSecurityGroup": {"type": "object", "properties": {"name": NAME}, "required": ["name"]}},
    "addSecurityGroup",
)
REMOVE_SECURITY_GROUP = closed(
    {"removeSecurityGroup": {"type": "object", "properties": {"name": NAME}, "required": ["name"]}},
    "removeSecurityGroup",
)
ADD_FLOATING_IP = closed(
    {
        "addFloatingIp": {
            "type": "object",
            "properties": {"address": IP, "fixed_address": IP},
            "required": ["address"],
        }
    },
    "addFloatingIp",
)
REMOVE_FLOATING_IP = closed(
    {"removeFloatingIp": {"type": "object", "properties": {"address": IP}, "required": ["address"]}},
    "removeFloatingIp",
)


def old_console(action: str, *kinds: str) -> Schema:
    """The console actions that remote-consoles replaced."""
    return closed({action: closed({"type": {"type": "string", "enum": list(kinds)}}, "type")}, action)
