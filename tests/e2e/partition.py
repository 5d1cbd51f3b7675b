"""A network between two processes that can stop moving anything.

    with partition.Network(("127.0.0.1", scheduler_port)) as network:
        ... a process dials network.address ...
        network.cut()             # no byte moves, either way; connections stay open
        network.cut(partition.UP) # or one way only: from who dials to who listens, or DOWN
        network.heal()            # what was held back arrives
"""

import contextlib
import selectors
import socket
import threading

UP, DOWN = "up", "down"


class Network:
    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.selector = selectors.DefaultSelector()
        self.wake, self.waker = socket.socketpair()
        self.cut_ways = frozenset()
        self.held = {}  # by a socket that is not read from: what the selector knows of it
        self.is_over = False
        self.selector.register(self.listener, selectors.EVENT_READ, (UP, None))
        self.selector.register(self.wake, selectors.EVENT_READ, (None, None))
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.waker.send(b"x")
        self.thread.join()
        for end in (*self.held, *(key.fileobj for key in self.selector.get_map().values())):
            end.close()
        self.waker.close()

    def cut(self, *ways):
        self.cut_ways = frozenset(ways or (UP, DOWN))
        self.waker.send(b"x")

    def heal(self):
        self.cut_ways = frozenset()
        self.waker.send(b"x")

    def run(self):
        while not self.is_over:
            for key, _ in self.selector.select():
                way, sink = key.data
                if key.fileobj is self.wake:
                    self.wake.recv(1)
                    self.release()
                elif key.fileobj.fileno() < 0:
                    continue  # closed in this turn
                elif way in self.cut_ways:  # it waits in the kernel's buffers
                    self.held[key.fileobj] = key.data
                    self.selector.unregister(key.fileobj)
                elif key.fileobj is self.listener:
                    self.accept()
                else:
                    self.move(key.fileobj, sink)

    def release(self):
        for end, data in list(self.held.items()):
            if data[0] not in self.cut_ways:
                self.selector.register(end, selectors.EVENT_READ, self.held.pop(end))

    def accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(self.target, timeout=5)
        except OSError:
            near.close()
            return
        for end, way, other in ((near, UP, far), (far, DOWN, near)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(5)
            self.selector.register(end, selectors.EVENT_READ, (way, other))

    def move(self, source, sink):
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(1 << 16)
            sink.sendall(data)
            if data:
                return
        for end in (source, sink):
            self.held.pop(end, None)
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(end)
            end.close()
