"""nginx before a gateway, as people run it: buffering on, keep-alive to the gateway.

The binary is the system's or the one that `make setup` unpacks under .deps; its config
and files live in a folder of their own.
"""

import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest
import stack

UNPACKED = pathlib.Path(__file__).resolve().parents[2] / ".deps/nginx/usr/sbin"

CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 8m;
  upstream weft {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  proxy_buffering on;  # nginx's default: the gateway's headers alone must make it stream
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://weft;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
    # As it is without a word about versions: 1.0, a connection for each request.
    location /http10/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}
    # And deaf to the gateway's header: what a stream would be without it.
    location /deaf/ {{
      proxy_pass http://127.0.0.1:{upstream}/;
      proxy_ignore_headers X-Accel-Buffering;
    }}
  }}
}}
"""


def binary():
    found = shutil.which("nginx") or shutil.which("nginx", path=f"/usr/sbin:{UNPACKED}")
    if not found:
        pytest.fail("no nginx: run `make setup`", pytrace=False)
    return found


class Nginx:
    """Runs while the `with` does."""

    def __init__(self, upstream):
        [self.port] = stack.free_ports(1)
        self.folder = tempfile.TemporaryDirectory(prefix="weft-nginx-")
        self.config = pathlib.Path(self.folder.name) / "nginx.conf"
        self.config.write_text(CONFIG.format(folder=self.folder.name, port=self.port,
                                             upstream=upstream))
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def errors(self):
        return (self.config.parent / "error.log").read_text()

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        self.process = subprocess.Popen(
            [binary(), "-p", self.folder.name, "-c", self.config, "-e",
             self.config.parent / "error.log"],
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, preexec_fn=stack.die_with_us)
        assert stack.eventually(self.listens, 10), self.errors()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()
