"""The log of usage audits by host. Audits were a job that each host ran once a period and reported here; usage is
computed when it is asked for now (`usage.py`), so no host ever has run one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.store import hosts
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Response, answer


def last_month(before: datetime) -> tuple[datetime, datetime]:
    """The last whole month before a moment: its beginning and its end."""
    end = datetime(before.year, before.month, 1, tzinfo=UTC)
    begin = end.replace(year=end.year - 1, month=12) if end.month == 1 else end.replace(month=end.month - 1)
    return begin, end


async def _log(request: ComputeRequest, before: datetime) -> dict[str, Any]:
    begin, end = last_month(before)
    async with request.service.db.read() as tx:
        names = sorted({s.host for s in await hosts.list_services(tx, binary=hosts.COMPUTE)})
    return {
        "period_beginning": f"{begin:%Y-%m-%d %H:%M:%S}",
        "period_ending": f"{end:%Y-%m-%d %H:%M:%S}",
        "num_hosts": len(names),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(names),
        "hosts_not_run": names,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"0 of {len(names)} hosts done. 0 errors.",
        "log": {},
    }


async def show_last(request: ComputeRequest) -> Response:
    """GET /os-instance_usage_audit_log"""
    return answer({"instance_usage_audit_logs": await _log(request, request.service.clock.now())})


async def show_before(request: ComputeRequest) -> Response:
    """GET /os-instance_usage_audit_log/{before}"""
    text = request.params["before"]
    try:
        before = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S")
        return answer({"instance_usage_audit_log": await _log(request, before.replace(tzinfo=UTC))})
    except ValueError:
        raise BadRequest(f"Invalid timestamp for date {text}") from None
