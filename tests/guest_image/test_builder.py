"""The pure parts: archive, partition table, apt's answers, the guest's texts, and what a user is told."""

import struct
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from kilonova.guest_image import command, cpio, disk, guest_tree, host_tools, packages
from kilonova.guest_image.host_tools import CannotBuild

CLOUD_CONFIG = guest_tree.FILES / "root/usr/sbin/cloud-config"


def test_an_archive_is_the_same_for_the_same_tree_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/file").write_bytes(b"hello")
    (tmp_path / "a").symlink_to("/bin/busybox")
    archive = cpio.pack(tmp_path)
    assert archive == cpio.pack(tmp_path)
    assert len(archive) % 512 == 0
    names = [archive.index(name) for name in (b"a\0", b"b/file\0", b"TRAILER!!!\0")]
    assert names == sorted(names)
    assert b"/bin/busybox" in archive
    assert b"hello" in archive


def test_a_partition_says_where_it_starts_and_how_long_it_is() -> None:
    entry = disk.partition(0x80, 0xEF, 2048, 20)
    assert struct.unpack("<B3xB3xII", entry) == (0x80, 0xEF, 2048, 20 * 2048)


def test_apts_answer_becomes_packages_and_a_changed_file_is_not_in_the_cache(tmp_path: Path) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    rows = packages.parse_uris(f"'http://deb.example/pool/x_1_amd64.deb' x_1_amd64.deb 5 SHA256:{digest}\nnoise\n")
    assert [row.file for row in rows] == ["x_1_amd64.deb"]
    assert not rows[0].is_in(tmp_path)
    (tmp_path / "x_1_amd64.deb").write_bytes(b"hellO")
    assert not rows[0].is_in(tmp_path)
    (tmp_path / "x_1_amd64.deb").write_bytes(b"hello")
    assert rows[0].is_in(tmp_path)


def test_no_word_of_the_guests_texts_is_left_unfilled() -> None:
    guest = guest_tree.Guest()
    for file in guest_tree.FILES.rglob("*"):
        if file.is_file():
            assert "@" not in guest.fill(file.read_text()).replace("user@", "").replace("$@", ""), file


def test_the_guests_shell_scripts_parse() -> None:
    guest = guest_tree.Guest()
    for file in guest_tree.FILES.rglob("*"):
        if file.is_file() and file.read_text().startswith("#!"):
            parsed = subprocess.run(["sh", "-n"], input=guest.fill(file.read_text()).encode(), capture_output=True)
            assert parsed.returncode == 0, (file, parsed.stderr)


def test_the_sudo_program_is_a_program(tmp_path: Path) -> None:
    program = tmp_path / "sudo"
    program.write_bytes(guest_tree.sudo_program())
    program.chmod(0o755)
    # Not setuid here, so on a host without /sbin/sudo-run it can only say 127.
    if not Path("/sbin/sudo-run").exists():
        assert subprocess.run([program], check=False).returncode == 127


def shell_lines(config: str) -> str:
    return subprocess.run(["sh", CLOUD_CONFIG], input=config.encode(), capture_output=True, check=True).stdout.decode()


def test_cloud_config_becomes_shell_lines() -> None:
    said = shell_lines("""\
#cloud-config
hostname: web-1   # a comment
password: "it's"
ssh_pwauth: true
ssh_authorized_keys:
  - ssh-ed25519 AAAA one
  - 'ssh-rsa BBBB two'
write_files:
- path: /etc/motd
  permissions: '0600'
  content: |
    first: line
      indented

    last
- content: plain
  path: /tmp/x
runcmd:
  - echo hello > /tmp/y
  - [sh, -c, "echo a, b"]
  - |
    for i in 1 2; do
      echo $i
    done
""")
    assert said.splitlines()[:5] == [
        "set_name 'web-1'",
        "set_password 'it'\\''s'",
        "allow_passwords",
        "add_key 'ssh-ed25519 AAAA one'",
        "add_key 'ssh-rsa BBBB two'",
    ]
    assert "write_file '/etc/motd' '0600' 'first: line\n  indented\n\nlast\n' \n" in said
    assert "write_file '/tmp/x' '0644' 'plain' \n" in said
    assert "echo hello > /tmp/y\n'sh' '-c' 'echo a, b'\nfor i in 1 2; do\n  echo $i\ndone\n" in said


def test_what_cloud_config_does_not_know_is_named() -> None:
    said = shell_lines("#cloud-config\npackages:\n  - nginx\nhostname: a\nruncmd: echo\n")
    assert "cloud-config: not understood, skipped: packages" in said
    assert "runcmd: must be a list" in said
    assert "nginx" not in said
    assert "set_name 'a'" in said


def test_missing_tools_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("apt-get", "dpkg-deb", "apt-cache", "depmod", "mke2fs", "debugfs"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setattr(host_tools, "SEARCH_PATH", str(tmp_path))
    monkeypatch.setattr(host_tools.platform, "machine", lambda: "x86_64")
    with pytest.raises(CannotBuild, match="apt-get install mtools qemu-utils"):
        host_tools.check()
    told = CliRunner().invoke(command.build_image, [str(tmp_path / "out.qcow2"), "--cache", str(tmp_path)])
    assert told.exit_code == 1
    assert "apt-get install mtools qemu-utils" in told.output
    assert not (tmp_path / "out.qcow2").exists()


def test_a_tool_that_fails_is_quoted() -> None:
    with pytest.raises(CannotBuild, match="no-such-thing"):
        host_tools.run(["sh", "-c", "echo no-such-thing >&2; exit 3"])
