"""The user's clouds.yaml gains our entries and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kilonova.cli.clouds_yaml import CloudsFileError, merged, write

OURS = {"kilonova": {"auth": {"auth_url": "http://127.0.0.1:8774/identity", "password": "p: '#"}, "region_name": "R"}}
THEIRS = """# mine, with comments
clouds:
    work:   # four spaces
        auth: {auth_url: https://work, username: me}
cache:
  expiration: 5
"""


@pytest.mark.parametrize(
    "text", ["", "clouds:\n", "clouds: {}\n", "cache:\n  a: 1", THEIRS, "clouds:\n\n  a: {b: 1}\n"]
)
def test_entries_go_in_and_come_out_without_a_trace(text: str) -> None:
    once = merged(text, OURS)
    assert yaml.safe_load(once)["clouds"]["kilonova"] == OURS["kilonova"]
    assert merged(once, OURS) == once
    # The stock client cannot read a file whose clouds are nothing.
    assert (yaml.safe_load(merged(once, {})) or {}).get("clouds", {}) is not None
    if text == THEIRS:
        assert "# mine, with comments" in once
        assert "work:   # four spaces" in once
        assert merged(once, {}) == text


def test_changed_entries_replace_the_old_ones() -> None:
    newer = {"kilonova": {"auth": {"auth_url": "http://127.0.0.1:1/identity"}}, "kilonova-admin": {"x": 1}}
    text = merged(merged(THEIRS, OURS), newer)
    assert yaml.safe_load(text)["clouds"].keys() == {"work", "kilonova", "kilonova-admin"}


@pytest.mark.parametrize(
    "text", ["clouds: {kilonova: {}}\n", "clouds:\n  kilonova:\n    auth: {}\n", "[1]", "a: [", "clouds: {a: {}}"]
)
def test_what_cannot_be_done_safely_is_not_done(text: str) -> None:
    with pytest.raises(CloudsFileError):
        merged(text, OURS)


def test_the_file_is_private_and_made_when_absent(tmp_path: Path) -> None:
    path = tmp_path / "openstack" / "clouds.yaml"
    write(path, OURS)
    assert path.stat().st_mode & 0o777 == 0o600
    write(path, {})
    assert not path.exists(), "a file in which nothing is left"
