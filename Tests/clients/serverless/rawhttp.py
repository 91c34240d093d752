"""An HTTP/1.1 client for measuring: kept connections, bytes in, bytes out, as little work as can be."""
import asyncio
import re
import time

LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
CHUNKED = re.compile(rb"\r\n[Tt]ransfer-[Ee]ncoding: *chunked")


def run(coroutine):
    """On uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def request(method, path, key, body=b"", kind="application/json"):
    """A whole request, to be sent many times."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    if method == "POST":
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """One request at a time. `exchange` gives (status, body); what is broken raises ConnectionError."""

    def __init__(self):
        self.buffer, self.waiter, self.transport = bytearray(), None, None

    @classmethod
    async def open(cls, port):
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(ConnectionError(error or "closed"))

    def data_received(self, data):
        self.buffer += data
        if self.waiter and not self.waiter.done() and (answer := self.whole()):
            self.waiter.set_result(answer)

    def whole(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head, status = bytes(self.buffer[:end + 2]), int(self.buffer[9:12])
        if found := LENGTH.search(head):
            last = end + 4 + int(found[1])
            if len(self.buffer) < last:
                return None
            body = bytes(self.buffer[end + 4:last])
        elif CHUNKED.search(head):
            if not self.buffer.endswith(b"0\r\n\r\n"):
                return None
            body, last = unchunked(self.buffer[end + 4:]), len(self.buffer)
        else:
            body, last = b"", end + 4
        del self.buffer[:last]
        return status, body

    async def exchange(self, payload):
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(payload)
        return await self.waiter

    def close(self):
        self.transport.close()


def unchunked(data):
    """The body of chunks."""
    body, place, data = b"", 0, bytes(data)
    while True:
        line = data.index(b"\r\n", place)
        size = int(data[place:line].split(b";")[0], 16)
        if size == 0:
            return body
        body += data[line + 2:line + 2 + size]
        place = line + 4 + size


class Stream(asyncio.Protocol):
    """An event stream: notes when each event came, and keeps the bytes for later."""

    MARK = b"data: {"

    def __init__(self):
        self.times, self.data, self.end, self.transport = [], bytearray(), asyncio.get_running_loop().create_future(), None

    @classmethod
    async def read(cls, port, payload, seconds=300):
        """Sends a request on a connection of its own; the stream once it is over. `times[i]`: seconds from the request to event i."""
        _, stream = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        stream.begin = time.perf_counter()
        stream.transport.write(payload)
        try:
            await asyncio.wait_for(stream.end, seconds)
        finally:
            stream.transport.abort()
        return stream

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        now, place = time.perf_counter() - self.begin, max(0, len(self.data) - len(self.MARK) + 1)
        self.data += data
        while (place := self.data.find(self.MARK, place)) >= 0:
            self.times.append(now)
            place += 1
        if self.data.endswith(b"0\r\n\r\n") and not self.end.done():
            self.end.set_result(None)

    def connection_lost(self, error):
        if not self.end.done():
            self.end.set_exception(ConnectionError(error or f"cut after {len(self.data)} bytes"))

    def body(self):
        """Status and body, chunks put together."""
        head = self.data.index(b"\r\n\r\n")
        return int(self.data[9:12]), unchunked(self.data[head + 4:])
