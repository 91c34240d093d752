"""A load balancer before several gateways: each connection goes to the next one that takes it."""
import asyncio
import threading


class Balancer:
    """Passes bytes, on a thread of its own. `upstreams` holds ports of 127.0.0.1; one that refuses is passed over."""

    def __init__(self):
        self.upstreams, self.turn, self.counts = [], 0, {}
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=256))
        self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self.loop.run_forever()

    async def _accept(self, reader, writer):
        try:
            if upstream := await self._connect():
                # Whichever side ends first, the other is told: a gateway must see that a worker hung up, and the other way round.
                both = [asyncio.create_task(self._copy(reader, upstream[1])), asyncio.create_task(self._copy(upstream[0], writer))]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                for task in both:
                    task.cancel()
                upstream[1].close()
        finally:
            writer.close()

    async def _connect(self):
        for _ in self.upstreams:
            port = self.upstreams[self.turn % len(self.upstreams)]
            self.turn += 1
            try:
                streams = await asyncio.open_connection("127.0.0.1", port)
                self.counts[port] = self.counts.get(port, 0) + 1
                return streams
            except OSError:
                continue
        return None

    @staticmethod
    async def _copy(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
