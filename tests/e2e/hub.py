"""What of the Hugging Face hub a download needs, over HTTPS on 127.0.0.1, and a second host,
localhost, to which it redirects for large files, as the hub does to its CDN. Both can be told to
misbehave:

    with Hub(folder) as hub:
        commit = hub.publish("acme/tiny", {"config.json": b"{}", "model.safetensors": weights})
        hub.faults["model.safetensors"] = Fault(drop_after=1 << 20)
"""

import collections
import dataclasses
import hashlib
import http.server
import json
import pathlib
import re
import ssl
import threading
import time
import urllib.parse

import certificates

Request = collections.namedtuple("Request", "host path range authorization")


@dataclasses.dataclass
class Fault:
    """What is wrong with a file, at the host that its bytes come from."""

    refusals: list = dataclasses.field(default_factory=list)  # (status, headers), one an answer
    drop_after: int = 0       # bytes of each answer, then the connection is cut
    num_drops: int = 1 << 30  # as often
    bytes_per_s: int = 0      # of each connection
    num_corrupt: int = 0      # answers with a byte of them changed
    ignores_ranges: bool = False
    is_silent: bool = False   # once: the head comes, then nothing


@dataclasses.dataclass
class Repository:
    commits: dict = dataclasses.field(default_factory=dict)    # commit -> {name: bytes}
    revisions: dict = dataclasses.field(default_factory=dict)  # branch or tag -> commit
    readers: set | None = None     # tokens that may read the files; None: everybody
    is_private: bool = False       # and see that it exists
    extra_names: list = dataclasses.field(default_factory=list)  # in the listing, without more
    sizes: dict = dataclasses.field(default_factory=dict)        # what the listing says instead


def digest(name, data):
    """(field of the listing, the cache's name for it)"""
    if is_large(name):
        sha = hashlib.sha256(data).hexdigest()
        return {"blobId": "0" * 40, "lfs": {"sha256": sha, "size": len(data), "pointerSize": 134}}, sha
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return {"blobId": blob}, blob


def is_large(name):
    return name.endswith(".safetensors")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def handle(self):
        try:
            super().handle()
        except (OSError, ssl.SSLError):  # the client has gone
            pass

    def do_GET(self):
        hub = self.server.hub
        host = self.headers["Host"].split(":")[0]
        with hub.lock:
            hub.requests.append(Request(host, self.path, self.headers.get("Range"),
                                        self.headers.get("Authorization")))
        path = urllib.parse.unquote(self.path)
        if self.server is hub.cdn:
            match = re.fullmatch(r"/(\w+/[\w.-]+)/(\w+)/(.+)\?signature=secret", path)
            return self.send_file(match[3], hub.repositories[match[1]].commits[match[2]][match[3]])
        if hub.refusals:
            return self.refuse(*hub.refusals.pop(0))
        if match := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/revision/([^?]+)\?blobs=true", path):
            return self.list_files(*match.groups())
        if match := re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/(\w+)/(.+)", path):
            return self.resolve(*match.groups())
        return self.refuse(404, {})

    def token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def list_files(self, name, revision):
        repository = self.server.hub.repositories.get(name)
        hidden = repository and repository.is_private and self.token() not in repository.readers
        if repository is None or hidden:
            if self.token():
                return self.refuse(404, {"X-Error-Code": "RepoNotFound",
                                         "X-Error-Message": "Repository not found"})
            return self.refuse(401, {"X-Error-Code": "RepoNotFound",
                                     "X-Error-Message": "Invalid username or password."})
        commit = repository.revisions.get(revision, revision)
        if commit not in repository.commits:
            return self.refuse(404, {"X-Error-Code": "RevisionNotFound",
                                     "X-Error-Message": f"Invalid rev id: {revision}"})
        siblings = [{"rfilename": name} for name in repository.extra_names]
        for file, data in repository.commits[commit].items():
            entry = {"rfilename": file, "size": len(data), **digest(file, data)[0]}
            if file in repository.sizes:
                entry["size"] = repository.sizes[file]
                if "lfs" in entry:
                    entry["lfs"]["size"] = repository.sizes[file]
            siblings.append(entry)
        return self.send({"id": name, "sha": commit, "siblings": siblings})

    def resolve(self, name, commit, file):
        hub = self.server.hub
        repository = hub.repositories[name]
        if repository.readers is not None and self.token() not in repository.readers:
            return self.refuse(403 if self.token() else 401, {
                "X-Error-Code": "GatedRepo",
                "X-Error-Message": f"Access to model {name} is restricted."})
        data = repository.commits[commit][file]
        if not is_large(file):
            return self.send_file(file, data)
        self.send_response(302)
        self.send_header("Location", f"{hub.cdn_url}/{name}/{commit}/{file}?signature=secret")
        self.send_header("X-Linked-Etag", f'"{digest(file, data)[1]}"')
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def send(self, document):
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, name, data):
        hub = self.server.hub
        fault = hub.faults.get(name, Fault())
        with hub.lock:
            if fault.refusals:
                return self.refuse(*fault.refusals.pop(0))
            is_silent, fault.is_silent = fault.is_silent, False
            if fault.num_corrupt > 0:
                fault.num_corrupt -= 1
                data = bytes([data[0] ^ 1]) + data[1:]
            drop_after = fault.drop_after if fault.num_drops > 0 else 0
            fault.num_drops -= 1
        begin, end = 0, len(data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if asked and not fault.ignores_ranges:
            begin, end = int(asked[1]), int(asked[2]) + 1
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        self.wfile.flush()
        if is_silent:
            hub.is_closing.wait(60)
            self.close_connection = True
            return None
        stop = min(end, begin + drop_after) if drop_after else end
        with hub.lock:
            hub.num_open += 1
            hub.most_open = max(hub.most_open, hub.num_open)
        try:
            self.send_slowly(name, memoryview(data)[begin:stop], fault)
        finally:
            with hub.lock:
                hub.num_open -= 1
        if stop < end:
            self.close_connection = True
        return None

    def send_slowly(self, name, data, fault):
        step = 1 << 18
        if fault.bytes_per_s:
            step = max(1, fault.bytes_per_s // 20)
        for at in range(0, len(data), step):
            piece = data[at:at + step]
            self.wfile.write(piece)
            with self.server.hub.lock:
                self.server.hub.num_sent[name] += len(piece)
            if fault.bytes_per_s:
                time.sleep(0.05)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub, host, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.context = hub, context
        self.url = f"https://{host}:{self.server_port}"

    def finish_request(self, request, client_address):
        # Here rather than on the listening socket: a handshake belongs to the connection's thread.
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def shutdown_request(self, request):
        self.close_request(request)

    def handle_error(self, request, client_address):
        pass  # a client that has gone, or trusts nobody


class Hub:
    def __init__(self, folder):
        authority = certificates.Authority(pathlib.Path(folder) / "authority")
        own = pathlib.Path(folder) / "certificate"
        authority.issue(own, ["IP:127.0.0.1", "DNS:localhost"])
        self.ca_file = authority.cert
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own / "tls.crt", own / "tls.key")
        self.hub, self.cdn = Server(self, "127.0.0.1", context), Server(self, "localhost", context)
        self.url, self.cdn_url = self.hub.url, self.cdn.url
        self.lock, self.is_closing = threading.Lock(), threading.Event()
        self.reset()

    def reset(self):
        self.repositories = {}
        self.faults = {}
        self.refusals = []  # (status, headers, body) of the next answers, whatever is asked
        self.forget()

    def forget(self):
        """What was asked and sent so far."""
        self.requests = []
        self.num_sent = collections.Counter()  # bytes, by file
        self.num_open = self.most_open = 0     # answers that are being sent at one time

    def publish(self, name, files, revision="main"):
        """A commit, to which the revision then leads."""
        text = json.dumps({file: digest(file, data)[1] for file, data in files.items()})
        commit = hashlib.sha1(text.encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository())
        repository.commits[commit] = files
        repository.revisions[revision] = commit
        return commit

    def __enter__(self):
        for server in (self.hub, self.cdn):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.is_closing.set()
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()
