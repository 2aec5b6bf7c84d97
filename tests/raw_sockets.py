"""WebSockets without a library: for clients that do what no library does, or do not read at all."""

import base64
import contextlib
import os
import socket
import struct
from collections.abc import Iterator

SECONDS = 20
TEXT = 0x81
#: "This message is compressed", beside TEXT.
COMPRESSED = 0x40


@contextlib.contextmanager
def raw_socket(port: int, **headers: str) -> Iterator[tuple[socket.socket, bytes]]:
    """A connection on which the handshake is over, and the head of the server's answer to it."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        wanted = {
            "Host": f"127.0.0.1:{port}",
            "Origin": f"http://127.0.0.1:{port}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"{name}: {value}\r\n" for name, value in wanted.items()]
        connection.sendall(f"GET /ws/ HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        head = read_until(connection, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield connection, head.lower()


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """Read until this has come; that the server closes before is an error."""
    received = b""
    while end not in received:
        piece = connection.recv(4096)
        assert piece, f"the server closed after {received!r}"
        received += piece
    return received


def masked(payload: bytes, head: int = TEXT) -> bytes:
    """A frame of at most 64 KiB; masked with zeros, which changes nothing."""
    size = len(payload)
    length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return struct.pack("!B", head) + length + bytes(4) + payload
