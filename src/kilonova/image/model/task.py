"""A task: the record of one import. It is written in the transaction that does the import, so it has succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

KEPT_FOR = timedelta(hours=48)  # upstream's task_time_to_live
KIND, SUCCESS = "api_image_import", "success"


@dataclass(frozen=True, slots=True)
class Task:
    """``request``: the body of the request for the import."""

    id: str
    image_id: str
    owner: str | None
    user_id: str | None
    request_id: str
    request: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
