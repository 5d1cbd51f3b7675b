"""HTTP/1.1 by hand: exactly the bytes that a test wants to send, and answers read strictly."""

import contextlib
import dataclasses
import json
import re
import socket
import threading


def wire(path, body=b"", method="POST", headers=(), version="1.1"):
    """A whole request: `headers` are further lines, the length is told."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    if body or method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(path, *chunks, headers=()):
    """A request whose body comes in these chunks."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Content-Type: application/json",
             "Transfer-Encoding: chunked", *headers, "", ""]
    return "\r\n".join(lines).encode() + b"".join(
        b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@dataclasses.dataclass
class Answer:
    version: str
    status: int
    headers: dict  # names in lower case
    body: bytes = b""

    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()  # strictly: half a character fails


class Connection:
    """One connection to a port of this machine."""

    def __init__(self, port, receive_buffer=0, timeout=30):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.reader = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_meanwhile(self, data):
        """While the answer is read: it may come before all is sent, and end the sending."""
        def run():
            with contextlib.suppress(OSError):
                self.socket.sendall(data)
        threading.Thread(target=run, daemon=True).start()

    def line(self):
        line = self.reader.readline()
        assert line.endswith(b"\r\n"), f"the connection ended in {line!r}"
        return line[:-2].decode("latin-1")

    def head(self):
        version, status, _ = re.fullmatch(r"HTTP/(\d\.\d) (\d{3}) (.+)", self.line()).groups()
        headers = {}
        while line := self.line():
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, f"twice: {line}"
            headers[name.lower()] = value
        return Answer(version, int(status), headers)

    def chunk(self):
        """The next piece of a chunked body; empty: it was the last."""
        size = int(self.line(), 16)
        data = self.reader.read(size)
        assert len(data) == size and self.line() == "", "cut off"
        return data

    def answer(self, method="POST"):
        """The next answer, whole; an interim one (100) comes by itself."""
        answer = self.head()
        if method == "HEAD" or answer.status in (100, 204, 304):
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in answer.headers
            while piece := self.chunk():
                answer.body += piece
        elif "content-length" in answer.headers:
            answer.body = self.reader.read(int(answer.headers["content-length"]))
            assert len(answer.body) == int(answer.headers["content-length"]), "cut off"
        else:
            answer.body = self.reader.read()
        return answer

    def rest(self):
        """What still comes before the server closes."""
        try:
            return self.reader.read()
        except ConnectionResetError:
            return b""


def ask(port, data, method="POST"):
    """One request on a connection of its own."""
    with Connection(port) as connection:
        connection.send_meanwhile(data)
        return connection.answer(method)
