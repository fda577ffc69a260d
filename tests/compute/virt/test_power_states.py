"""Drivers know the machine, not the cloud, so both have their own power states; they must agree."""

from __future__ import annotations

from kilonova.compute.model import states
from kilonova.compute.virt import driver


def test_the_drivers_power_states_are_the_clouds():
    assert {s.name: s.value for s in driver.PowerState} == {s.name: s.value for s in states.PowerState}
