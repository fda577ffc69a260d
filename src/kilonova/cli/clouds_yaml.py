"""Our entries in the user's clouds.yaml: put in and taken out as text, so that nothing else in the file changes.

The entries stand between two marker lines inside the ``clouds:`` mapping, indented like their neighbours. The result
is parsed before it is written: the other clouds must read the same as before, or the file is left alone.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_BEGIN, _END = "# kilonova: begin (written by `kilonova`, replaced at each start)", "# kilonova: end"
_BLOCK = re.compile(rf"^[ \t]*{re.escape(_BEGIN)}\n.*?^[ \t]*{re.escape(_END)}\n", re.MULTILINE | re.DOTALL)


class CloudsFileError(ValueError):
    """The file cannot be changed safely; the sentence says why and what to do."""


def default_path() -> Path:
    """Where the stock client looks in the user's home."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "openstack" / "clouds.yaml"


def merged(text: str, clouds: Mapping[str, Any]) -> str:
    """``text`` of a clouds.yaml with ``clouds`` put in (none: taken out). Raises CloudsFileError."""
    before = _parse(text)
    bare = _BLOCK.sub("", text)
    ours = set(_parse(text).get("clouds") or {}) - set(_parse(bare).get("clouds") or {})
    taken = set(_parse(bare).get("clouds") or {}) & set(clouds)
    if taken:
        raise CloudsFileError(
            f"clouds.yaml has an entry of its own named {', '.join(sorted(taken))}; rename it there, then start again"
        )
    result = _insert(bare, clouds) if clouds else _without_empty_mapping(bare)
    after = _parse(result)
    others = {k: v for k, v in (before.get("clouds") or {}).items() if k not in ours}
    kept = {k: v for k, v in (after.get("clouds") or {}).items() if k not in clouds}
    if kept != others or {k: (after.get("clouds") or {}).get(k) for k in clouds} != dict(clouds):
        raise CloudsFileError("clouds.yaml has a form that cannot be added to safely; put the entries in by hand")
    return result


def _without_empty_mapping(text: str) -> str:
    """Without a ``clouds:`` that nothing follows: the stock client cannot read a file with that."""
    if _parse(text).get("clouds", "absent") is not None:
        return text
    return re.sub(r"^clouds:[ \t]*(null|~)?[ \t]*(#.*)?\n?", "", text, flags=re.MULTILINE)


def _insert(text: str, clouds: Mapping[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    at = next((n for n, line in enumerate(lines) if re.match(r"clouds:\s*(#.*)?$", line)), None)
    if at is None:
        if _parse(text).get("clouds"):
            raise CloudsFileError("clouds.yaml writes its clouds in one line; put the entries in by hand")
        without = re.sub(r"^clouds:\s*(\{\}|null|~)\s*\n?", "", text, flags=re.MULTILINE)
        lines = [*without.splitlines(keepends=True), "clouds:\n"]
        if len(lines) > 1 and not lines[-2].endswith("\n"):
            lines[-2] += "\n"
        at = len(lines) - 1
    if not lines[at].endswith("\n"):
        lines[at] += "\n"
    following = next((line for line in lines[at + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
    indent = re.match(r"[ \t]*", following)[0] or "  "  # type: ignore[index]
    body = yaml.safe_dump(dict(clouds), sort_keys=False, default_flow_style=False)
    block = "".join(f"{indent}{line}\n" for line in [_BEGIN, *body.splitlines(), _END])
    return "".join([*lines[: at + 1], block, *lines[at + 1 :]])


def _parse(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise CloudsFileError(f"clouds.yaml is not valid YAML: {error}") from error
    if not isinstance(found, dict):
        raise CloudsFileError("clouds.yaml does not hold a mapping; put the entries in by hand")
    return found


def write(path: Path, clouds: Mapping[str, Any]) -> None:
    """Merge ``clouds`` into the file at ``path``, atomically and readable by its owner only.

    The file is made when absent, and removed when nothing is left in it.
    """
    text = path.read_text() if path.exists() else ""
    if not text and not clouds:
        return
    result = merged(text, clouds)
    if result == text:
        return
    if not result.strip():
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".clouds-")
    with os.fdopen(handle, "w") as file:
        file.write(result)
    Path(temporary).chmod(mode)
    Path(temporary).replace(path)
