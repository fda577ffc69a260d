"""Power and rest: start, stop, reboot, pause, unpause, suspend, resume. Each is one row of the table of states."""

from __future__ import annotations

from kilonova.compute.api.access import ask_for
from kilonova.compute.api.parts import ComputeRequest
from kilonova.kernel.web import Response, accepted


async def start(request: ComputeRequest) -> Response:
    """os-start"""
    await ask_for(request, "start")
    return accepted()


async def stop(request: ComputeRequest) -> Response:
    """os-stop"""
    await ask_for(request, "stop")
    return accepted()


async def reboot(request: ComputeRequest) -> Response:
    """reboot; SOFT asks the guest, HARD does not"""
    hard = request.body["reboot"]["type"].upper() == "HARD"
    await ask_for(request, "reboot_hard" if hard else "reboot_soft")
    return accepted()


async def pause(request: ComputeRequest) -> Response:
    """pause"""
    await ask_for(request, "pause")
    return accepted()


async def unpause(request: ComputeRequest) -> Response:
    """unpause"""
    await ask_for(request, "unpause")
    return accepted()


async def suspend(request: ComputeRequest) -> Response:
    """suspend"""
    await ask_for(request, "suspend")
    return accepted()


async def resume(request: ComputeRequest) -> Response:
    """resume"""
    await ask_for(request, "resume")
    return accepted()
