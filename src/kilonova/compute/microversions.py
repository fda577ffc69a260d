"""The range of microversions, and named questions about behaviour that is not the shape of an answer."""

from __future__ import annotations

from kilonova.kernel.microversion import MicroversionRange, Version

MIN, MAX = Version(2, 1), Version(2, 103)
RANGE = MicroversionRange("compute", MIN, MAX, legacy_header="X-OpenStack-Nova-API-Version")


def v(minor: int) -> Version:
    """The version 2.`minor`, for rows."""
    return Version(2, minor)


def networks_must_be_asked(version: Version) -> bool:
    """A create request says what networks it wants, be it `auto` or `none`."""
    return version >= v(37)


def keypair_created_is_201(version: Version) -> bool:
    """A new key pair is answered with 201, its removal with 204; before, 200 and 202."""
    return version >= v(2)


def keypairs_of_others(version: Version) -> bool:
    """An administrator may name another user."""
    return version >= v(10)


def access_to_public_flavor_conflicts(version: Version) -> bool:
    """Giving a project access to a flavor that all may use is refused."""
    return version >= v(7)


def service_by_uuid(version: Version) -> bool:
    """Services and hypervisors are known by uuid."""
    return version >= v(53)


def extra_specs_are_checked(version: Version) -> bool:
    """Extra specs of flavors are checked for known names and values."""
    return version >= v(86)


def actions_of_deleted_servers(version: Version) -> bool:
    """The list of actions can be read after the server is gone."""
    return version >= v(21)


def users_filter_more(version: Version) -> bool:
    """Users without the administrator's role may filter by more keys."""
    return version >= v(83)
