"""What no source file may hold: unfinished work, files too long to read, images opened by guesswork."""

from __future__ import annotations

import ast
import re
import sys

import pytest

from tests.house.sources import SOURCE, modules

LONGEST, LOOK_AGAIN = 800, 400


def test_no_file_is_too_long_to_read() -> None:
    lines = {path: len((SOURCE / path).read_text().splitlines()) for path in modules()}
    long = sorted((count, path) for path, count in lines.items() if count > LOOK_AGAIN)
    sys.stdout.write("".join(f"{count} lines, look again: {path}\n" for count, path in reversed(long)))
    assert {path: count for path, count in lines.items() if count > LONGEST} == {}


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    files = [
        path for path in SOURCE.rglob("*") if path.is_file() and path.suffix in (".py", ".sh", ".c", ".html", ".js")
    ]
    assert [str(path) for path in files if marks.search(path.read_text())] == []


DOES_NOTHING = {
    "cli/database.py db": "a group of commands",
    "cli/main.py image": "a group of commands",
    "compute/virt/vif.py unplug": "the plug of machines without a dataplane",
    "compute/virt/vif.py unplug_all": "the same",
    "compute/virt/vif.py close": "the same",
    "identity/service.py _nobody_listens": "who hears of changes when nobody asked to",
    "network/workflows/events.py send_nowhere": "where events go when compute is not told",
}
"""Functions whose work is to do nothing, each with what it stands for."""


def test_no_function_is_a_stub() -> None:
    assert {where for path, module in modules().items() for where in _stubs(path, module)} == set(DOES_NOTHING)


def _stubs(path: str, module: ast.Module) -> list[str]:
    found = [
        f"{path}:{n.lineno}" for n in ast.walk(module) if isinstance(n, ast.Name) and n.id == "NotImplementedError"
    ]
    contracts = {id(f) for n in ast.walk(module) if isinstance(n, ast.ClassDef) and _is_contract(n) for f in n.body}
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in contracts:
            body = [line for line in node.body if not _is_docstring(line)]
            if not body or all(isinstance(line, ast.Pass) or _is_ellipsis(line) for line in body):
                found.append(f"{path} {node.name}")
    return found


def _is_contract(node: ast.ClassDef) -> bool:
    bases = {base.value if isinstance(base, ast.Subscript) else base for base in node.bases}
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in bases)


def _is_docstring(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def _is_ellipsis(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and line.value.value is ...


CALLS_OF_QEMU_IMG = {
    "compute/agent/images.py": 1,
    "compute/virt/libvirt/images.py": 4,
    "guest_image/builder.py": 1,
}
"""How many calls each file makes: a new file, or a new call, is looked at by whoever adds it here."""


@pytest.mark.parametrize("path", CALLS_OF_QEMU_IMG)
def test_every_call_of_qemu_img_names_the_format(path: str) -> None:
    calls = list(_qemu_img_calls(modules()[path]))
    assert len(calls) == CALLS_OF_QEMU_IMG[path]
    for words in calls:
        assert "-f" in words, words
        if "convert" in words:
            assert "-O" in words, words
        if "-b" in words:
            assert "-F" in words, words


def test_nobody_else_calls_qemu_img() -> None:
    callers = {path for path, module in modules().items() if list(_qemu_img_calls(module))}
    assert callers == set(CALLS_OF_QEMU_IMG)


def _qemu_img_calls(module: ast.Module) -> list[list[object]]:
    """The words of each command line that starts qemu-img, and of each call of a function that is named after it."""
    kept = {
        target.id: node.value.elts
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for node in ast.walk(module):
        if not isinstance(node, ast.Call | ast.List):
            continue
        words: list[object] = []
        for word in node.args if isinstance(node, ast.Call) else node.elts:
            if isinstance(word, ast.Starred) and isinstance(word.value, ast.Name):
                words += [w.value for w in kept.get(word.value.id, ()) if isinstance(w, ast.Constant)]
            elif isinstance(word, ast.Constant):
                words.append(word.value)
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_qemu_img"
        if named or (words[:1] == ["qemu-img"] and len(words) > 2):
            found.append(words)
    return found
