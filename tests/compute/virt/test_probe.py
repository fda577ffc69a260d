"""The probe of accelerators: KVM is believed only when a guest ran under it, and asked once a machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kilonova.compute.virt.libvirt import probe

QEMU = shutil.which("qemu-system-x86_64") or ""


def stand_in(tmp_path: Path, script: str) -> str:
    """A program in QEMU's place."""
    path = tmp_path / "emulator"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


async def test_an_emulator_that_runs_the_guest_is_usable(tmp_path):
    verdict = await probe.probe("tcg", stand_in(tmp_path, "exit 85"))
    assert verdict.usable


async def test_one_that_hangs_is_given_up(tmp_path):
    verdict = await probe.probe("tcg", stand_in(tmp_path, "exec sleep 60"), patience_s=0.2)
    assert not verdict.usable
    assert "no progress" in verdict.why


async def test_one_that_fails_says_why(tmp_path):
    verdict = await probe.probe("tcg", stand_in(tmp_path, "echo 'no such accelerator' >&2; exit 1"))
    assert not verdict.usable
    assert "no such accelerator" in verdict.why


async def test_a_missing_emulator_is_named(tmp_path):
    verdict = await probe.probe("tcg", str(tmp_path / "gone"))
    assert not verdict.usable
    assert "gone" in verdict.why


async def test_a_machine_is_asked_once(tmp_path, monkeypatch):
    asked = []

    async def count(accelerator, emulator):
        asked.append(accelerator)
        return probe.Verdict(False, "it hangs")

    monkeypatch.setattr(probe, "probe", count)
    cache = tmp_path / "state" / "accelerator.json"
    for _ in range(2):
        assert await probe.virt_type(cache, "qemu") == ("qemu", probe.Verdict(False, "it hangs"))
    assert asked == ["kvm"]
    monkeypatch.setattr(probe, "machine_key", lambda emulator: "after a new kernel")
    await probe.virt_type(cache, "qemu")
    assert asked == ["kvm", "kvm"]


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"key": 1}'])
async def test_a_spoilt_cache_is_asked_again(tmp_path, monkeypatch, text):
    async def usable(accelerator, emulator):
        return probe.Verdict(True, "a guest ran")

    monkeypatch.setattr(probe, "probe", usable)
    cache = tmp_path / "accelerator.json"
    cache.write_text(text)
    assert (await probe.virt_type(cache, "qemu"))[0] == "kvm"


@pytest.mark.real
@pytest.mark.skipif(not QEMU, reason="qemu-system-x86_64 is not installed")
async def test_emulation_runs_the_little_guest():
    verdict = await probe.probe("tcg", QEMU, patience_s=20)
    assert verdict.usable, verdict.why


def test_the_little_guest_is_a_rom_of_64_kib():
    assert len(probe.little_guest()) == 0x10000


def test_the_key_is_the_same_for_the_same_machine():
    assert probe.machine_key(QEMU) == probe.machine_key(QEMU)
    assert probe.machine_key(QEMU) != probe.machine_key(os.devnull)
