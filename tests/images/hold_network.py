"""Run in a network namespace of its own: makes loopback work there, says so, and keeps it until
stdin ends. (Not with `ip`, which a small system lacks.)"""

import fcntl
import socket
import struct
import sys

with socket.socket() as any_socket:
    loopback_up = struct.pack("16sh", b"lo", 1)  # struct ifreq, IFF_UP
    fcntl.ioctl(any_socket, 0x8914, loopback_up)  # SIOCSIFFLAGS
print("up", flush=True)
sys.stdin.read()
