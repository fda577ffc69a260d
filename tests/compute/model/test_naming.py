"""Names that follow from names, hidden hosts, and public keys."""

from __future__ import annotations

import hashlib

import pytest

from kilonova.compute.errors import BadPublicKey
from kilonova.compute.model.extra_specs import BadExtraSpec, check_extra_spec
from kilonova.compute.model.naming import hostname_for, numbered
from kilonova.compute.model.public_keys import fingerprint, make_ssh_pair
from kilonova.compute.model.servers import guest_name, hide_host


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("web", "web"),
        ("Web Server_1.example", "web-server-1-example"),
        ("naïve", "nave"),
        ("日本", "server-ID"),
        ("--x--", "x"),
        ("a" * 100, "a" * 63),
    ],
)
def test_host_names_are_what_dns_allows(name: str, hostname: str) -> None:
    assert hostname_for(name, "ID") == hostname


def test_servers_of_one_request_are_numbered_from_one() -> None:
    assert [numbered("web", at, 3) for at in range(3)] == ["web-1", "web-2", "web-3"]
    assert numbered("web", 0, 1) == "web"


def test_hosts_are_hidden_per_project() -> None:
    assert hide_host("p", "h") == hashlib.sha224(b"ph").hexdigest()
    assert hide_host("p", None) == ""
    assert guest_name(26) == "instance-0000001a"


def test_a_made_pair_can_be_read_back() -> None:
    private, public = make_ssh_pair()
    assert "PRIVATE KEY" in private
    assert len(fingerprint("ssh", public).split(":")) == 16


@pytest.mark.parametrize("key", ["", "ssh-rsa", "ssh-rsa !!!", "ssh-rsa AAAA", "x y z", "ssh-rsa " + "A" * 5000])
def test_broken_keys_are_refused(key: str) -> None:
    with pytest.raises(BadPublicKey):
        fingerprint("ssh", key)
    with pytest.raises(BadPublicKey):
        fingerprint("x509", key)


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ("hw:cpu_policy", "dedicated", True),
        ("hw:cpu_policy", "nope", False),
        ("hw:nonsense", "1", False),
        ("hw:numa_mem.0", "512", True),
        ("my:own", "anything", True),
        ("resources:VCPU", "2", True),
        ("resources1:CUSTOM_X", "x", False),
        ("trait:HW_CPU_X86_AVX2", "required", True),
        ("trait:NO_SUCH_TRAIT", "required", False),
        ("trait:CUSTOM_MINE", "forbidden", True),
        ("quota:disk_read_iops_sec", "100", True),
    ],
)
def test_known_extra_specs_are_checked(key: str, value: str, good: bool) -> None:
    if good:
        check_extra_spec(key, value)
    else:
        with pytest.raises(BadExtraSpec):
            check_extra_spec(key, value)
