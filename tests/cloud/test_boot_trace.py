"""One boot's log, read from front to end under one request id, beside the sequence that introductions to Nova tell."""

from __future__ import annotations

import re

from kilonova.compute.model.trace import HOPS
from tests.cloud.make import RunningCloud


def test_every_hop_of_a_boot_is_in_the_log_under_the_request_of_its_creation(cloud: RunningCloud) -> None:
    demo = cloud.get("/compute/v2.1/servers?name=demo", "member")["servers"][0]
    actions = cloud.get(f"/compute/v2.1/servers/{demo['id']}/os-instance-actions", "member")["instanceActions"]
    (asked,) = (action["request_id"] for action in actions if action["action"] == "create")
    told = [line for line in (cloud.state / "kilonova.log").read_text().splitlines() if f"[{asked}]" in line]
    hops = re.findall(r"boot ([\d-]+): ", "\n".join(told))
    assert hops == [
        "1-2",
        "3",
        "4-5",
        "6-7",
        "8",
        "9-10",
        "11",
        "23-25",
        "26-28",
        "12",
        "13-19",
        "20-22",
        "29",
        "30",
    ]
    assert set(hops) == set(HOPS)
    assert any("POST /compute/v2.1/servers 202" in line for line in told)
    assert any("PUT /placement/allocations/" in line for line in told)
    assert any("POST /network/v2.0/ports 201" in line for line in told)
