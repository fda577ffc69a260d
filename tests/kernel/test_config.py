"""Options: the command line above the environment above the file above the default."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from kilonova.kernel.config import ConfigError, load

GROUPS = (
    ("DEFAULT", [cfg.StrOpt("host", default="here")]),
    ("libvirt", [cfg.StrOpt("virt_type", choices=["auto", "kvm", "qemu"], default="auto"), cfg.IntOpt("n", default=1)]),
)


def test_each_source_stands_above_the_next(tmp_path: Path) -> None:
    file = tmp_path / "kilonova.conf"
    file.write_text("[DEFAULT]\nhost = filed\n[libvirt]\nn = 2\n")
    conf = load([file], groups=GROUPS, environment={"KILONOVA_LIBVIRT__N": "3"}, overrides={"DEFAULT.host": "told"})
    assert (conf.host, conf.libvirt.n, conf.libvirt.virt_type) == ("told", 3, "auto")


@pytest.mark.parametrize("overrides", [{"libvirt.virt_type": "zx81"}, {"libvirt.n": "many"}, {"libvirt.no_such": "1"}])
def test_a_value_that_cannot_be_is_named(overrides: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(overrides))):
        load(groups=GROUPS, environment={}, overrides=overrides)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load([tmp_path / "absent.conf"], groups=GROUPS, environment={})


def test_two_configurations_live_side_by_side() -> None:
    one = load(groups=GROUPS, environment={}, overrides={"DEFAULT.host": "one"})
    two = load(groups=GROUPS, environment={}, overrides={"DEFAULT.host": "two"})
    assert (one.host, two.host) == ("one", "two")
