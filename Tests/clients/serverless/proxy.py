"""A proxy between workers and the gateway: writes down what passes and answers in the gateway's place where a rule says so."""
import asyncio
import dataclasses
import threading
import time

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web


@dataclasses.dataclass
class Passed:
    """A request that went through, or was answered here."""
    method: str
    path: str
    query: dict
    body: bytes
    began: float
    ended: float = 0.0
    status: int = 0
    answer: bytes = b""
    ruled: bool = False

    @property
    def endpoint(self):
        return self.path.split("/")[2]

    @property
    def operation(self):
        return self.path.split("/")[3]

    @property
    def worker(self):
        return self.path.split("/")[4]


class Proxy:
    """Runs on a thread of its own. `upstream` is set once the gateway listens.

    A rule is called with a `Passed` and gives None to let it through, or `(status, body)`; or `(status, None)` to let it through and give the
    worker that status instead of the gateway's.
    """

    def __init__(self):
        self.upstream, self.passed, self.rules, self.lock = None, [], [], threading.Lock()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        ready.set()
        self.loop.run_forever()

    async def _start(self):
        self.session = ClientSession(timeout=ClientTimeout(total=None), connector=TCPConnector(limit=0), auto_decompress=False)
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # A worker that hangs up hangs up on the gateway too.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    async def _handle(self, request):
        one = Passed(request.method, request.path, dict(request.query), await request.read(), time.time())
        with self.lock:
            self.passed.append(one)
            rules = list(self.rules)
        try:
            ruling = next((r for r in (rule(one) for rule in rules) if r is not None), None)
            if ruling and ruling[1] is not None:
                one.status, one.answer, one.ruled = *ruling, True
                return web.Response(status=one.status, body=one.answer, content_type="application/json")
            head = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length", "transfer-encoding", "connection")}
            async with self.session.request(request.method, self.upstream + request.path_qs, headers=head, data=one.body or None) as response:
                one.answer = await response.read()
                one.status, one.ruled = (ruling[0], True) if ruling else (response.status, False)
                kept = {k: v for k, v in response.headers.items()
                        if k.lower() not in ("content-length", "transfer-encoding", "connection", "date")}
                return web.Response(status=one.status, body=one.answer, headers=kept)
        except OSError:
            one.status = 502
            return web.Response(status=502)
        finally:
            one.ended = time.time()

    def seen(self, endpoint, *operations, worker=None):
        """What passed for an endpoint, in order of arrival."""
        with self.lock:
            return [p for p in self.passed if p.endpoint == endpoint and (not operations or p.operation in operations)
                    and worker in (None, p.worker)]

    def rule(self, rule):
        with self.lock:
            self.rules.append(rule)
