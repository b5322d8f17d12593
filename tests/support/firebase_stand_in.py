"""A stand-in for Google's servers: lets an account in by OAuth 2, and takes messages as Firebase's version 1.

It is reached as the real ones are, by their name and over TLS: a process finds it by HTTPS_PROXY and trusts it by
REQUESTS_CA_BUNDLE. What is shown here is that the sender speaks this protocol, not that the real servers do.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HOST, PROJECT, ACCOUNT = "fcm.googleapis.com", "a-project", "relay@a-project.example"
ACCESS_TOKEN = "let-me-in"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"

UNREGISTERED = (404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found.")
BAD_TOKEN = (
    400,
    "INVALID_ARGUMENT",
    "INVALID_ARGUMENT",
    "The registration token is not a valid FCM registration token",
)
OTHER_PROJECT = (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch")
BUSY = (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded")
Fault = tuple[int, str, str, str]


@dataclass
class FirebaseStandIn:
    """``faults`` by token; ``checked`` are tokens, ``taken`` the messages that were not only checked."""

    key_file: Path
    environment: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    lets_in: bool = True
    largest: int = 4096
    logins: list[dict[str, Any]] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)

    def told(self, token: str) -> list[dict[str, str]]:
        """Return the data of what was sent to a device."""
        return [message["data"] for message in list(self.taken) if message["token"] == token]

    def answer(self, authorization: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Take a message; return status and body of the answer."""
        if authorization != f"Bearer {ACCESS_TOKEN}":
            return _fault(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "no valid token")
        message = body["message"]
        token, data = message["token"], message.get("data", {})
        if token in self.faults:
            return _fault(*self.faults[token])
        size = sum(len(f"{name}{value}".encode()) for name, value in data.items())
        if size > self.largest or not all(isinstance(value, str) for value in data.values()):
            return _fault(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Message too big")
        if body.get("validate_only"):
            self.checked.append(token)
        else:
            self.taken.append(message)
        return 200, {"name": f"projects/{PROJECT}/messages/{len(self.taken)}"}


def _fault(status: int, name: str, code: str, text: str) -> tuple[int, Any]:
    details = [{"@type": _FCM_ERROR, "errorCode": code}]
    return status, {"error": {"code": status, "message": text, "status": name, "details": details}}


@contextmanager
def firebase_stand_in(folder: Path) -> Iterator[FirebaseStandIn]:
    """Run a stand-in; ``folder`` takes its certificate and the key file of an account."""
    account_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = _certify(folder)
    tls.load_cert_chain(certificate)
    found = FirebaseStandIn(folder / "key.json")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            if self.path != f"{HOST}:443":
                self.send_error(502)
                return
            self.send_response(200)
            self.end_headers()
            self.close_connection = False
            self.connection = tls.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", 0)  # type: ignore[assignment]

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/token":
                self._reply(*self._log_in(parse_qs(body.decode("ascii"))))
            elif self.path == f"/v1/projects/{PROJECT}/messages:send":
                self._reply(*found.answer(self.headers["Authorization"], json.loads(body)))
            else:
                self._reply(404, {})

        def _log_in(self, form: dict[str, list[str]]) -> tuple[int, Any]:
            if not found.lets_in:
                return 401, {"error": "invalid_client", "error_description": "the account is disabled"}
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            claims = jwt.decode(
                form["assertion"][0],
                account_key.public_key(),
                algorithms=["RS256"],
                audience=_AUDIENCE,
                issuer=ACCOUNT,
            )
            found.logins.append(claims)
            return 200, {"access_token": ACCESS_TOKEN, "expires_in": 3600, "token_type": "Bearer"}

        def _reply(self, status: int, data: Any) -> None:
            text = json.dumps(data).encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    token_url = f"http://127.0.0.1:{server.server_port}/token"
    found.key_file.write_text(json.dumps(_key_file(account_key, token_url)))
    found.environment = {
        "HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}",
        "REQUESTS_CA_BUNDLE": str(certificate),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _key_file(key: rsa.RSAPrivateKey, token_url: str) -> dict[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": private.decode("ascii"),
        "client_email": ACCOUNT,
        "client_id": "1",
        "token_uri": token_url,
    }


def _certify(folder: Path) -> Path:
    """Write a certificate for the host, which signs itself, with its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path
