"""nginx, run with the configurations that are shipped: for one machine, and for several."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from relay.devnet.anvil import free_port
from relay.devnet.errors import Unavailable
from relay.devnet.process import start_child

CONFIG = Path(__file__).parents[2] / "config" / "nginx"

_AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    include {folder}/site.conf;
}}
"""


def nginx_binary() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Unavailable("There is no nginx on this machine (Debian: apt-get install nginx-light).")
    return found


@contextmanager
def balancing(folder: Path, machines: Mapping[str, int]) -> Iterator[str]:
    """Run nginx over processes of this machine until the end of the block, and hand out its URL.

    ``machines`` says which port stands for which of the shipped addresses.
    """
    port = free_port()
    shipped = (CONFIG / "cluster.conf").read_text("utf-8")
    addresses = set(re.findall(r"\bserver ([\d.]+:\d+)", shipped))
    assert addresses == set(machines), "every server that the shipped file names has a process"
    for address, stand_in in machines.items():
        shipped = shipped.replace(f"server {address}", f"server 127.0.0.1:{stand_in}")
    assert shipped.count("listen 80;") == 1
    site = shipped.replace("listen 80;", f"listen 127.0.0.1:{port};")
    with _running(folder, site, f"http://127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class Front:
    """nginx before one relay: its ports for HTTP and HTTPS, and the certificate to be trusted."""

    http: str
    https: str
    certificate: Path


@contextmanager
def fronting(folder: Path, relay_port: int, host: str) -> Iterator[Front]:
    """Run nginx with what is shipped for one machine, changed as docs/operations.md says and in its ports."""
    plain, secure = free_port(), free_port()
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    site = (CONFIG / "relay.conf").read_text("utf-8")
    for shipped, ours in (
        ("${RELAY_HOST}", host),
        ("server api:5000", f"server 127.0.0.1:{relay_port}"),
        ("/etc/nginx/certificates", str(folder)),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{secure} ssl"),
        ("/var/www/certbot", str(folder)),
    ):
        assert shipped in site, shipped
        site = site.replace(shipped, ours)
    site = re.sub(r".*listen \[::\]:.*\n", "", site)
    with _running(folder, site, f"http://127.0.0.1:{plain}"):
        yield Front(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}", certificate)


@contextmanager
def _running(folder: Path, site: str, url: str) -> Iterator[None]:
    (folder / "site.conf").write_text(site)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=user))
    log = folder / "nginx.log"
    child = start_child("nginx", [nginx_binary(), "-p", str(folder), "-c", str(folder / "nginx.conf")], log)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                requests.get(f"{url}/nothing", timeout=1, allow_redirects=False)
                break
            except requests.RequestException:
                assert child.is_running(), log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield
    finally:
        child.stop()
