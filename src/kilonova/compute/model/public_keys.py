"""Public keys: reading them, their fingerprints, and making a pair for those who ask (before microversion
2.92).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kilonova.compute.errors import BadPublicKey


def fingerprint(key_type: str, public_key: str) -> str:
    """The colon-separated fingerprint that clients show: MD5 for ssh, SHA-1 for x509. Raises BadPublicKey."""
    return _x509_fingerprint(public_key) if key_type == "x509" else _ssh_fingerprint(public_key)


def _ssh_fingerprint(public_key: str) -> str:
    words = public_key.split(None, 2)
    if len(words) < 2:
        raise BadPublicKey(why="it must be a type and a key in base64, as in a file named id_*.pub")
    try:
        blob = base64.b64decode(words[1], validate=True)
        serialization.load_ssh_public_key(f"{words[0]} {words[1]}".encode("ascii"))
    except UnsupportedAlgorithm:
        if not _names_its_type(blob, words[0]):
            raise BadPublicKey(why="its type is not the one that it names") from None
    except (binascii.Error, ValueError):
        raise BadPublicKey(why="it is no SSH public key") from None
    return _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def _names_its_type(blob: bytes, name: str) -> bool:
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length] == name.encode()


def _x509_fingerprint(public_key: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(public_key.encode())
    except ValueError:
        raise BadPublicKey(why="it is no X.509 certificate in PEM") from None
    return _colons(certificate.fingerprint(hashes.SHA1()).hex())  # noqa: S303


def _colons(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def make_ssh_pair() -> tuple[str, str]:
    """A new pair: the private key in OpenSSH's PEM, the public key in one line."""
    key = ec.generate_private_key(ec.SECP521R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode() + " Generated-by-Nova"


_CERTIFICATE_LASTS = timedelta(days=3650)
_PRINCIPAL = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""A user's name as Windows looks for it in a certificate that logs in."""


def make_x509_pair(user_id: str, now: datetime) -> tuple[str, str]:
    """A new private key and a certificate for it that signs itself, both in PEM: what WinRM logs in with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    principal = f"{user_id}@localhost".encode()[:120]
    other = x509.OtherName(_PRINCIPAL, b"\x0c" + bytes([len(principal)]) + principal)  # a UTF8String in DER
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _CERTIFICATE_LASTS)
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()
