"""Certificates that only a test knows."""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS = ipaddress.ip_address("127.0.0.1")


def certificate(folder):
    """Make a certificate of this machine; return the paths of its authority's, and of it with its key."""
    now, (authority, own) = datetime.now(UTC), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of a test")])

    def signed(name, key, extension, is_critical):
        made = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        signed = made.add_extension(extension, is_critical).sign(authority, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server of a test")])
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(signed(issuer, authority, x509.BasicConstraints(True, None), True))
    leaf = signed(name, own, x509.SubjectAlternativeName([x509.IPAddress(ADDRESS)]), False)
    (folder / "both.pem").write_bytes(private + leaf)
    return folder / "ca.pem", folder / "both.pem"
