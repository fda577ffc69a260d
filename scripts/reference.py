"""Writes docs/reference from the rows that the product runs by: `make docs`. A test of the house looks whether it is
fresh.

Everything here is a table of the code: routes, rules, options, states, workflows. The same code gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from oslo_config import cfg

from kilonova.allinone.groups import ALL_GROUPS
from kilonova.compute.conductor import power
from kilonova.compute.conductor.app import WORKFLOWS
from kilonova.compute.conductor.sweeps import SWEEPS as COMPUTE_SWEEPS
from kilonova.compute.microversions import RANGE as COMPUTE_VERSIONS
from kilonova.compute.model import states
from kilonova.image.janitor import SWEEPS as IMAGE_SWEEPS
from kilonova.kernel.microversion import MicroversionRange
from kilonova.kernel.policy import Policies, Rule
from kilonova.kernel.tasks import Sweep
from kilonova.kernel.web import NOVA, Route, ServiceApp
from kilonova.kernel.web.openapi import describe
from kilonova.network.workflows.sweeps import SWEEPS as NETWORK_SWEEPS
from kilonova.placement.microversions import SPOKEN as PLACEMENT_VERSIONS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
SERVICES: dict[str, MicroversionRange | None] = {
    "identity": None,
    "compute": COMPUTE_VERSIONS,
    "image": None,
    "network": None,
    "placement": PLACEMENT_VERSIONS,
}
SWEEPS: dict[str, tuple[Sweep, ...]] = {"compute": COMPUTE_SWEEPS, "image": IMAGE_SWEEPS, "network": NETWORK_SWEEPS}

Pages = dict[str, str]


def pages() -> Pages:
    """Every page of the reference by its path below the folder."""
    found = {"README.md": _index(), "options.md": _options(), "states.md": _states(), "workflows.md": _workflows()}
    for service, versions in SERVICES.items():
        found[f"operations/{service}.md"] = _operations(service, versions)
        found[f"policies/{service}.md"] = _policies(service)
        found[f"openapi/{service}.json"] = _openapi(service, versions)
    return found


def write(folder: Path = FOLDER) -> list[str]:
    """Bring the folder up to date; the paths of pages that were written or removed."""
    wanted = pages()
    changed = []
    for path in sorted(set(_written(folder)) - set(wanted)):
        (folder / path).unlink()
        changed.append(path)
    for path, text in wanted.items():
        place = folder / path
        if not place.exists() or place.read_text() != text:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            changed.append(path)
    return changed


def stale(folder: Path = FOLDER) -> list[str]:
    """The paths of pages that are not what the code says now."""
    wanted, there = pages(), _written(folder)
    return sorted(path for path in {*wanted, *there} if wanted.get(path) != there.get(path))


def _written(folder: Path) -> Pages:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- pages


def _index() -> str:
    rows = [
        (
            f"/{service}",
            f"[{len(_routes(service))} operations](operations/{service}.md)",
            f"[{len(_rules(service))} policies](policies/{service}.md)",
            f"[OpenAPI 3.1](openapi/{service}.json)",
            f"{versions.min} to {versions.max}" if versions else "-",
        )
        for service, versions in SERVICES.items()
    ]
    return _page(
        "Reference",
        "Written by `make docs` from the tables in the code; do not edit.",
        _table(("service", "operations", "policies", "description", "microversions"), rows),
        "- [Options](options.md): what the INI file may hold\n"
        "- [States of a server](states.md): what can be asked of it, and when\n"
        "- [Workflows and sweeps](workflows.md): how operations are carried out and the world is put right",
    )


def _operations(service: str, versions: MicroversionRange | None) -> str:
    rows = []
    for route in _routes(service):
        action = f" `{route.action}`" if route.action else ""
        window = _window(route) if versions else ""
        who = f"`{route.policy}`" if route.policy else "public"
        what = "" if route.summary.startswith(f"{route.method} /") else route.summary
        rows.append((route.method, f"`{route.path}`{action}", *([window] if versions else []), who, what))
    head = ("method", "path", *(["microversions"] if versions else []), "policy", "what it does")
    also = "Each path is also served as `/v2.1/{project_id}/...`." if service == "compute" else ""
    return _page(
        f"Operations of {service}", f"Paths are below `/{service}` of the API's address. {also}", _table(head, rows)
    )


def _policies(service: str) -> str:
    guarded: dict[str, list[str]] = {}
    for route in _routes(service):
        if route.policy:
            guarded.setdefault(route.policy, []).append(_called(route))
    rows = []
    for rule in _rules(service):
        operations = guarded.get(rule.name) or [f"{method} {path}" for method, path in rule.operations]
        what = rule.summary or (f"{len(operations)} operations" if len(operations) > 3 else "")
        shown = ", ".join(f"`{one}`" for one in operations[:3])
        rows.append((f"`{rule.name}`", f"`{rule.check or '@'}`", what, shown))
    return _page(
        f"Policies of {service}",
        "Names and defaults; a `policy.yaml` may replace each row. `@` lets everybody who has a token.",
        _table(("rule", "default", "what it guards", "operations"), rows),
    )


def _openapi(service: str, versions: MicroversionRange | None) -> str:
    spec = ServiceApp(service, tuple(_routes(service)), NOVA, Policies(()), _nobody, versions)
    return json.dumps(describe(spec), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


async def _nobody(headers: Any) -> Any:
    raise LookupError("a description authenticates nobody")


def _options() -> str:
    groups: dict[str, dict[str, cfg.Opt]] = {}
    for name, options in ALL_GROUPS:
        groups.setdefault(name, {}).update({option.dest: option for option in options})
    parts = [
        "Set in the file given with `--config`, as `KILONOVA_<GROUP>__<OPTION>` in the environment, or with "
        "`--set group.option=value`; the later wins."
    ]
    for name in sorted(groups, key=lambda group: (group != "DEFAULT", group)):
        rows = [_option(groups[name][key]) for key in sorted(groups[name])]
        parts += [f"## [{name}]", _table(("option", "type", "default", "what it is"), rows)]
    return _page("Options", *parts)


def _option(option: cfg.Opt) -> tuple[str, ...]:
    old = ", ".join(f"`[{d.group or 'DEFAULT'}] {d.name}`" for d in option.deprecated_opts)
    default = (
        ""
        if option.default is None
        else ",".join(option.default)
        if isinstance(option.default, list)
        else option.default
    )
    text = (option.help or "") + (f" Old name: {old}." if old else "")
    return f"`{option.dest}`", str(option.type), f"`{default}`" if default != "" else "", text


def _states() -> str:
    actions = [
        (
            f"`{row.name}`",
            "any" if row.allowed_in is None else ", ".join(row.allowed_in),
            _busy(row.while_busy_with),
            str(row.leads_to or "-"),
            "yes" if row.minds_the_lock else "no",
            f"`{row.policy}`",
            f"`{row.action}`" if row.action else "",
        )
        for row in states.ROWS
    ]
    words = [
        (f"`{vm}`", rest, ", ".join(f"{word} ({task})" for task, word in busy.items()))
        for vm, (rest, busy) in states.STATUSES.items()
    ]
    head = ("action", "allowed in", "while busy with", "task_state set", "minds the lock", "policy", "in the history")
    return _page(
        "States of a server",
        "A server rests in a `vm_state` and may be busy with a `task_state`; its `status` is made from both.",
        "## Picture\n\nWhat a server's owner can do with its power, and how a server begins and ends:\n\n" + _picture(),
        "## What can be asked, and when",
        _table(head, actions),
        "## Status words",
        _table(("vm_state", "status at rest", "status while busy"), words),
    )


def _busy(tasks: tuple[states.TaskState | None, ...] | None) -> str:
    if tasks is None:
        return "anything"
    busy = [str(task) for task in tasks if task is not None]
    if len(busy) > len(states.TaskState) // 2:
        return "anything but " + ", ".join(str(task) for task in states.TaskState if task not in tasks)
    return ", ".join(busy) or "nothing"


def _picture() -> str:
    lines = ["[*] --> BUILD: create", "BUILD --> ACTIVE: build", "BUILD --> ERROR: no host would do"]
    for row in power.ROWS:
        asked = states.ROW[row.kind]
        for state in asked.allowed_in or ():
            begin, end = states.STATUSES[state][0], states.STATUSES[row.leads_to][0]
            lines.append(f"{begin} --> {end}: {asked.name.replace('_', ' ')}")
    for state in states.VmState:
        word = states.STATUSES[state][0]
        if any(line.startswith(f"{word} -->") for line in lines):
            lines.append(f"{word} --> DELETED: delete")
    lines.append("DELETED --> [*]")
    return "```mermaid\nstateDiagram-v2\n" + "".join(f"    {line}\n" for line in lines) + "```"


def _workflows() -> str:
    parts = [
        "An operation is a row of the journal; its workflow is a tuple of steps. A step that fails is undone together "
        "with all before it, backwards. From a step marked *no return* on it is tried again until it is done."
    ]
    for workflow in WORKFLOWS:
        rows = [
            (
                f"{n}",
                f"`{step.name}`" + (" *no return*" if step.name == workflow.no_return else ""),
                _first_line(step.do),
                _first_line(step.undo) if step.undo else "-",
                f"{step.deadline_s:g} s",
                str(step.tries),
            )
            for n, step in enumerate(workflow.steps, 1)
        ]
        head = ("", "step", "does", "undo", "deadline", "tries")
        parts += [f"## {workflow.kind}", f"Given up after {workflow.deadline_s:g} s.", _table(head, rows)]
    parts += ["## Sweeps", "Each compares what is wanted with what is there, for as long as its process runs."]
    watched = [
        (service, sweep.name, f"{sweep.every_s:g} s", _first_line(sweep.find), _first_line(sweep.repair))
        for service, sweeps in SWEEPS.items()
        for sweep in sweeps
    ]
    parts.append(_table(("service", "sweep", "every", "finds", "repairs"), watched))
    return _page("Workflows and sweeps", *parts)


# -- words


def _first_line(function: Any) -> str:
    while hasattr(function, "func"):
        function = function.func
    text = " ".join((function.__doc__ or "").split("\n\n")[0].split())
    return text or f"`{function.__name__}`"


def _window(route: Route) -> str:
    if route.since is None and route.until is None:
        return "all"
    if route.until is None:
        return f"{route.since} on"
    return f"{route.since or ''} to {route.until}".strip()


def _called(route: Route) -> str:
    return f"{route.method} {route.path}" + (f" {route.action}" if route.action else "")


def _all_routes(service: str) -> tuple[Route, ...]:
    found: tuple[Route, ...] = import_module(f"kilonova.{service}.routes").ROUTES
    return found


def _routes(service: str) -> list[Route]:
    """Without those that are there twice, with the project in the path."""
    return [route for route in _all_routes(service) if not route.path.startswith("/v2.1/{project_id}/")]


def _rules(service: str) -> tuple[Rule, ...]:
    found: tuple[Rule, ...] = import_module(f"kilonova.{service}.policies").RULES
    return found


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *(part.strip() for part in parts)]) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join(_lines(tuple(head), rows))


def _lines(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


if __name__ == "__main__":
    for page in write():
        sys.stdout.write(f"docs/reference/{page}\n")
