"""What of a Kubernetes API server an election needs: Leases of coordination.k8s.io/v1, which
change only for who names their resourceVersion. Over TLS, for who brings the account's token."""

import contextlib
import http.client
import http.server
import json
import multiprocessing
import pathlib
import ssl
import subprocess
import threading

import stack

TOKEN = "the account's token"
COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/weft/leases"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, reason, message):
        self.answer(status, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                             "reason": reason, "message": message, "code": status})

    def handle_request(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if server.is_down.is_set():
            return self.refuse(503, "ServiceUnavailable", "the API server is shutting down")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "Unauthorized", "Unauthorized")
        with server.lock:
            if self.command == "POST" and self.path == COLLECTION:
                return self.write(json.loads(body), None)
            name = self.path.removeprefix(COLLECTION + "/")
            known = server.leases.get(name)
            if "/" in name or known is None:
                return self.refuse(404, "NotFound", f'leases "{name}" not found')
            if self.command == "GET":
                return self.answer(200, known)
            return self.write(json.loads(body), known)

    do_GET = do_POST = do_PUT = handle_request

    def write(self, lease, known):
        metadata, name = lease["metadata"], lease["metadata"]["name"]
        assert lease["kind"] == "Lease" and metadata["namespace"] == "weft"
        if known is None and name in self.server.leases:
            return self.refuse(409, "AlreadyExists", f'leases "{name}" already exists')
        if known and metadata.get("resourceVersion") != known["metadata"]["resourceVersion"]:
            return self.refuse(409, "Conflict", "the object has been modified")
        self.server.version += 1
        metadata["resourceVersion"] = str(self.server.version)
        self.server.leases[name] = lease
        return self.answer(200 if known else 201, lease)


class KubeApi(http.server.ThreadingHTTPServer):
    """Serves until the with block ends, in a process of its own: one that reads many streams would
    keep a leader waiting for longer than its Lease lasts. `folder` gets the account's files."""

    daemon_threads = True
    fork = multiprocessing.get_context("fork")

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.is_down = threading.Lock(), self.fork.Event()
        self.leases, self.version = {}, 0  # the serving process's; see lease()
        self.account = pathlib.Path(folder)
        certificate, key = self.account / "ca.crt", self.account / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        (self.account / "token").write_text(TOKEN + "\n")
        (self.account / "namespace").write_text("weft")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # Whoever is slow to shake hands keeps nobody else waiting.
        self.socket = context.wrap_socket(self.socket, server_side=True,
                                          do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        self.process = self.fork.Process(target=self.serve, daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.join()
        self.server_close()

    def serve(self):
        stack.die_with_us()
        self.serve_forever()

    def lease(self, name):
        """As it is now; None: there is none."""
        connection = http.client.HTTPSConnection(
            *self.server_address, timeout=10,
            context=ssl.create_default_context(cafile=self.account / "ca.crt"))
        with contextlib.closing(connection):
            connection.request("GET", f"{COLLECTION}/{name}",
                               headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            return json.loads(answer.read()) if answer.status == 200 else None

    def handle_error(self, request, client_address):
        pass  # a client was killed

    def flags(self):
        return ["--election=lease:group-a", f"--kube-api={self.url}",
                f"--kube-account={self.account}"]
