"""Does a guest really execute code under an accelerator? Some machines open /dev/kvm and run nothing.

QEMU is given a 64 KiB flat ROM in place of a BIOS. Its code goes to protected mode and writes to the debug-exit
device, upon which QEMU ends with status 85: 0.1 s under emulation. An accelerator that shows nothing in two seconds
is not usable. The verdict is kept in a file together with a key of the machine, for the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PATIENCE_S = 2.0
_EXIT_STATUS = 85  # (0x2a << 1) | 1, what isa-debug-exit makes of our 0x2a


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` is a sentence for the operator."""

    usable: bool
    why: str


async def virt_type(cache_file: Path, emulator: str) -> tuple[Literal["kvm", "qemu"], Verdict]:
    """("kvm" or "qemu", what KVM was found to do), from the cache when this machine was asked before."""
    key = await asyncio.to_thread(machine_key, emulator)
    known = await asyncio.to_thread(_cached, cache_file, key)
    verdict = known or await probe("kvm", emulator)
    if known is None:
        await asyncio.to_thread(_keep, cache_file, key, verdict)
    return ("kvm" if verdict.usable else "qemu"), verdict


async def probe(accelerator: str, emulator: str, patience_s: float = PATIENCE_S) -> Verdict:
    """Run the little guest once."""
    if accelerator == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Verdict(False, "/dev/kvm cannot be opened by this process")
    loop = asyncio.get_running_loop()
    with tempfile.NamedTemporaryFile(suffix=".rom") as file:
        file.write(little_guest())
        file.flush()
        started = loop.time()
        try:
            process = await asyncio.create_subprocess_exec(
                *(emulator, "-accel", accelerator, "-machine", "pc,vmport=off,graphics=off", "-nodefaults"),
                *("-no-user-config", "-display", "none", "-m", "1", "-bios", file.name),
                *("-device", "isa-debug-exit,iobase=0x501,iosize=1"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            return Verdict(False, f"{emulator} cannot be started: {error.strerror}")
        try:
            async with asyncio.timeout(patience_s):
                _, said = await process.communicate()
        except TimeoutError:
            return Verdict(False, f"{accelerator} opens, but a guest under it made no progress in {patience_s:.0f} s")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == _EXIT_STATUS:
            return Verdict(True, f"a guest ran under {accelerator} in {loop.time() - started:.2f} s")
        return Verdict(False, f"{accelerator} fails: {said.decode(errors='replace').strip()[-200:]}")


def little_guest() -> bytes:
    """The ROM: reset vector, a switch to protected mode, the write to the debug-exit port, a halt."""
    real_mode = bytes.fromhex("31c08ed8")  # xor ax,ax; mov ds,ax
    table_at = 0x100
    to_protected = (
        bytes.fromhex("fa2e660f0116")  # cli; lgdt cs:[table]
        + table_at.to_bytes(2, "little")
        + bytes.fromhex("0f20c06683c8010f22c0")  # cr0 |= 1
    )
    next_at = 0xF0000 + len(real_mode) + len(to_protected) + 8
    far_jump = bytes.fromhex("66ea") + next_at.to_bytes(4, "little") + (8).to_bytes(2, "little")
    say_done = bytes.fromhex("b02a66ba0105eef4ebfd")  # out 0x501, 0x2a; hlt; jmp $-1
    code = real_mode + to_protected + far_jump + say_done
    table = bytes(8) + bytes.fromhex("ffff0000009acf00ffff00000092cf00")
    pointer = (len(table) - 1).to_bytes(2, "little") + (0xF0000 + table_at + 8).to_bytes(4, "little") + bytes(2)
    rom = bytearray(b"\xf4" * 0x10000)
    rom[0 : len(code)] = code
    rom[table_at : table_at + 8 + len(table)] = pointer + table
    rom[0xFFF0:0xFFF5] = bytes.fromhex("ea000000f0")  # jmp F000:0000
    return bytes(rom)


def machine_key(emulator: str) -> str:
    """Changes with the kernel, the processor, the emulator and the access to KVM: then the probe is run again."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("model name", "flags"))]
    try:
        emulator_at = os.stat(emulator).st_mtime_ns
    except OSError:
        emulator_at = 0
    may = os.access("/dev/kvm", os.R_OK | os.W_OK)
    facts = (*os.uname()[2:], sorted(set(cpu)), emulator_at, may)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _cached(file: Path, key: str) -> Verdict | None:
    try:
        data = json.loads(file.read_text())
        return Verdict(bool(data["usable"]), str(data["why"])) if data["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(file: Path, key: str, verdict: Verdict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"key": key, "usable": verdict.usable, "why": verdict.why}))
    beside.replace(file)
