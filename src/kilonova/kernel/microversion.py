"""Microversions: the API dialect that one request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from kilonova.kernel.errors import BadRequest, NotAcceptable

_FORM = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)\Z")


class Version(NamedTuple):
    """``2.90`` as an orderable pair."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


NO_VERSION = Version(0, 0)


def parse(text: str) -> Version:
    """``"2.90"`` -> Version(2, 90). Raises ValueError."""
    found = _FORM.match(text)
    if found is None:
        raise ValueError(text)
    return Version(int(found[1]), int(found[2]))


class MalformedVersion(BadRequest):
    text = "API Version String '{asked}' is of invalid format. It must be of format MajorNum.MinorNum."


class VersionOutOfRange(NotAcceptable):
    text = "Version {asked} is not supported by the API. Minimum is {min} and maximum is {max}."


@dataclass(frozen=True, slots=True)
class MicroversionRange:
    """What a service speaks, and in which headers the dialect is asked for.

    ``service_type`` is the word in ``OpenStack-API-Version: compute 2.90``; ``legacy_header`` the older header with
    the bare version (Nova's and Ironic's), read only when the first is absent.
    """

    service_type: str
    min: Version
    max: Version
    legacy_header: str | None = None

    def choose(self, header: str | None, legacy: str | None) -> Version:
        """The version for a request with these header values. Raises BadRequest or NotAcceptable."""
        asked = self._asked(header) or (legacy.strip() if legacy and legacy.strip() else None)
        if asked is None:
            return self.min
        if asked.lower() == "latest":
            return self.max
        try:
            version = parse(asked)
        except ValueError:
            raise MalformedVersion(asked=asked) from None
        if not self.min <= version <= self.max:
            raise VersionOutOfRange(asked=asked, min=self.min, max=self.max)
        return version

    def _asked(self, header: str | None) -> str | None:
        for part in (header or "").split(","):
            words = part.split()
            if len(words) == 2 and words[0].lower() == self.service_type:
                return words[1]
        return None
