"""HTTP as bytes, right or wrong, as no library would send it."""

from support.upstream import connect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(*fields):
    """A field block in literals (RFC 7541, section 6.2.2); nothing is checked."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text):
    length, out = len(text), bytearray()
    if length < 127:
        return bytes([length]) + text
    out.append(127)
    length -= 127
    while length >= 128:
        out.append(length % 128 | 128)
        length //= 128
    out.append(length)
    return bytes(out) + text


def request(path=b"/seen", method=b"POST", authority=b"test.example", more=()):
    """The fields of a request of HTTP/2."""
    pseudo = ((b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", authority))
    return block(*pseudo, *more)


def hear(address, sent):
    """Everything that comes back for `sent`, until the other side ends the connection."""
    with connect(address, timeout=10) as client:
        try:
            client.sendall(sent)
        except OSError:
            # It may have had enough already.
            pass
        return rest(client)


def rest(client):
    """What comes until the end, be it a reset."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def frames(data):
    """The frames in what an HTTP/2 server sent: kind, flags, stream, payload."""
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]
        data = data[9 + length :]
