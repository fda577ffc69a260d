"""Key pairs on the wire."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.values import closed
from kilonova.compute.microversions import v
from kilonova.kernel.clock import iso_micros
from kilonova.kernel.web import Field, FieldTable

_KEY = (
    Field("name", lambda k: k.name),
    Field("public_key", lambda k: k.public_key),
    Field("fingerprint", lambda k: k.fingerprint),
    Field("type", lambda k: k.type, since=v(2)),
)

LISTED = FieldTable(*_KEY)
CREATED = FieldTable(*_KEY, Field("user_id", lambda k: k.user_id))
SHOWN = FieldTable(
    *_KEY,
    Field("user_id", lambda k: k.user_id),
    Field("id", lambda k: k.number),
    Field("created_at", lambda k: iso_micros(k.created_at)),
    Field("updated_at", lambda k: None),
    Field("deleted_at", lambda k: None),
    Field("deleted", lambda k: False),
)

_NAME: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[a-zA-Z0-9 _\-]+(?<!\s)$",
}
_PUBLIC_KEY: dict[str, Any] = {"type": "string"}
_NAME_292: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[a-zA-Z0-9 @._\-]+(?<!\s)$",
}
_TYPE: dict[str, Any] = {"type": "string", "enum": ["ssh", "x509"]}
_USER: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255}


def _create(*required: str, **keys: Any) -> dict[str, Any]:
    return closed({"keypair": closed({"name": _NAME, "public_key": _PUBLIC_KEY, **keys}, *required)}, "keypair")


CREATE = (
    (None, v(1), _create("name")),
    (v(2), v(9), _create("name", type=_TYPE)),
    (v(10), v(91), _create("name", type=_TYPE, user_id=_USER)),
    (v(92), None, _create("name", "public_key", name=_NAME_292, type=_TYPE, user_id=_USER)),
)

_PAGE = {"limit": {"type": "string", "pattern": "^[0-9]*$"}, "marker": {"type": "string"}}


def _query(strict: bool, **keys: Any) -> dict[str, Any]:
    return {"properties": keys, **({"additionalProperties": False} if strict else {})}


LIST = (
    (None, v(9), _query(False)),
    (v(10), v(34), _query(False, user_id={"type": "string"})),
    (v(35), v(74), _query(False, user_id={"type": "string"}, **_PAGE)),
    (v(75), None, _query(True, user_id={"type": "string"}, **_PAGE)),
)
ONE = (
    (None, v(9), _query(False)),
    (v(10), v(74), _query(False, user_id={"type": "string"})),
    (v(75), None, _query(True, user_id={"type": "string"})),
)
