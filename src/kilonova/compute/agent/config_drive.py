"""Config drives: the guest's documents as an ISO 9660 file with the label that guests look for."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import pycdlib

LABEL = "config-2"


def write_config_drive(path: Path, tree: Mapping[str, bytes]) -> None:
    """Write the ISO so that it is there whole or not at all. Blocking: tens of milliseconds; call in a
    thread.
    """
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    made: dict[str, str] = {"": ""}
    for number, (name, content) in enumerate(sorted(tree.items())):
        parent, _, leaf = name.rpartition("/")
        folder = _folder(iso, parent, made)
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"{folder}/F{number:07d}.;1",
            rr_name=leaf,
            joliet_path=f"/{name}",
        )
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        iso.write_fp(file)
    iso.close()
    part.replace(path)


def _folder(iso: pycdlib.PyCdlib, name: str, made: dict[str, str]) -> str:
    """The ISO 9660 path of a folder, made with its parents when it is not there. Real names are in Rock Ridge
    and Joliet; the plain ones only have to be short and different.
    """
    if name in made:
        return made[name]
    parent, _, leaf = name.rpartition("/")
    path = f"{_folder(iso, parent, made)}/D{len(made):06d}"
    iso.add_directory(path, rr_name=leaf, joliet_path=f"/{name}")
    made[name] = path
    return path
