#!/usr/bin/env python3
"""What the gateway itself adds to OpenAI streams: a simulated worker gives every stream a token each step, and each token says when it was posted.

    relay_delay.py --binary .build/release/needletail [--streams 32] [--tokens 64] [--step 30] [--rounds 5] [--posts single] [--store URL]

The worker speaks our workers' protocol (batch take, batches of chunks one after another in one request; a request each with `--posts single`) and computes nothing, so that nothing but the gateway is measured:
from the client's request to the worker's having the job, from a post to the client's having the token (together what is added to the time to the
first token), and how far the gaps between tokens at the client are from those at the worker. Clients and worker share this process and its clock. The
same without a gateway, the clients connected to the worker, shows how much of that is this script's own. `overhead.py` measures with an engine that takes the whole machine.
"""
import argparse
import asyncio
import json
import statistics
import time

import measuring
from gateway import CLIENT_KEY, WORKER_KEY, Gateway, visitors
from rawhttp import Connection, Stream, request, run

NAME, WORKER = "relay", "simulated"


def frame(job, attempt, index, text, token):
    head = {"job": job, "attempt": attempt, "index": index, "form": "text", "resume": {"tokens": [[token]]}, "length": len(text)}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + text + b"\n"


def last(job, attempt):
    body = b'{"output":[]}'
    return json.dumps({"job": job, "attempt": attempt, "form": "done", "length": len(body)}).encode() + b"\n" + body + b"\n"


class LongPost(asyncio.Protocol):
    """Batch after batch in one request."""

    @classmethod
    async def open(cls, port):
        _, post = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        post.number, post.answers, post.begun = 0, b"", asyncio.get_running_loop().create_future()
        post.transport.write(f"POST /v2/{NAME}/job-stream-batches/{WORKER}?gpu=0 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {WORKER_KEY}\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n".encode())
        await post.begun
        return post

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.answers += data
        if not self.begun.done() and b"\r\n\r\n" in self.answers:
            self.begun.set_result(None)

    async def send(self, body):
        self.number += 1
        batch = b'{"batch":%d,"length":%d}\n%b\n' % (self.number, len(body), body)
        self.transport.write(b"%x\r\n%b\r\n" % (len(batch), batch))
        # Nothing was asked for: what is said is that a job is gone, or that it is over.
        if not self.answers.startswith(b"HTTP/1.1 200 ") or b"batch" in self.answers or self.transport.is_closing():
            raise SystemExit(f"job-stream-batches: {self.answers[:300]}")


class SinglePosts:
    """A request for each batch."""

    @classmethod
    async def open(cls, port):
        posts = cls()
        posts.connection = await Connection.open(port)
        return posts

    async def send(self, body):
        path = f"/v2/{NAME}/job-stream-batch/{WORKER}?gpu=0"
        status, answer = await self.connection.exchange(request("POST", path, WORKER_KEY, body, "application/octet-stream"))
        if status != 200 or json.loads(answer)["gone"]:
            raise SystemExit(f"job-stream-batch: HTTP {status}: {answer[:300]}")


class Worker:
    """Takes whatever comes; every step each of its jobs gets a token, all in one post."""

    def __init__(self, options, port):
        self.options, self.port, self.jobs, self.taken = options, port, {}, {}

    async def take(self):
        connection = await Connection.open(self.port)
        path = f"/v2/{NAME}/job-take-batch/{WORKER}?gpu=0&batch_size={self.options.streams}&job_in_progress=1"
        while True:
            status, body = await connection.exchange(request("GET", path, WORKER_KEY))
            now = time.perf_counter()
            for job in json.loads(body) if status == 200 else []:
                self.taken[job["input"]["openai_input"]["user"]] = now
                self.jobs[job["id"]] = [job.get("needletail", job).get("attempt", 1), 0]

    async def post(self):
        posts = await {"long": LongPost, "single": SinglePosts}[self.options.posts].open(self.port)
        due = time.perf_counter()
        while True:
            due = max(due + self.options.step / 1000, time.perf_counter())
            await asyncio.sleep(max(0, due - time.perf_counter()))
            if not self.jobs:
                continue
            now, body = time.perf_counter(), b""
            for job, state in list(self.jobs.items()):
                attempt, index = state
                if index == self.options.tokens:
                    body += frame(job, attempt, index, b"data: [DONE]\n\n", 0) + last(job, attempt)
                    del self.jobs[job]
                    continue
                event = {"id": "cmpl", "object": "text_completion", "choices": [{"index": 0, "text": repr(now)}]}
                body += frame(job, attempt, index, b"data: " + json.dumps(event).encode() + b"\n\n", index + 1)
                state[1] += 1
            await posts.send(body)


class Peer(asyncio.Protocol):
    """A client's connection to a worker that is a server itself."""

    def __init__(self, worker):
        self.worker, self.data, self.index = worker, b"", 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        self.worker.taken[json.loads(body)["user"]] = time.perf_counter()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.worker.peers.append(self)


class Server:
    """What the simulated worker does, without a gateway."""

    def __init__(self, options):
        self.options, self.peers, self.taken = options, [], {}

    async def open(self):
        server = await asyncio.get_running_loop().create_server(lambda: Peer(self), "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def post(self):
        due = time.perf_counter()
        while True:
            due = max(due + self.options.step / 1000, time.perf_counter())
            await asyncio.sleep(max(0, due - time.perf_counter()))
            now = time.perf_counter()
            for peer in list(self.peers):
                if peer.index == self.options.tokens:
                    event = b"data: [DONE]\n\n"
                    self.peers.remove(peer)
                else:
                    event = b"data: " + json.dumps({"id": "cmpl", "object": "text_completion", "choices": [{"index": 0, "text": repr(now)}]}).encode() + b"\n\n"
                peer.transport.write(b"%x\r\n%b\r\n" % (len(event), event) + (b"0\r\n\r\n" if peer.index == self.options.tokens else b""))
                peer.index += 1


async def one(options, port, worker, name, wait):
    await asyncio.sleep(wait)
    body = {"model": "m", "prompt": "The river ran down from the hills to the sea.", "stream": True, "max_tokens": options.tokens, "user": name}
    stream = await Stream.read(port, request("POST", f"/v2/{NAME}/openai/v1/completions", CLIENT_KEY, json.dumps(body).encode()))
    status, text = stream.body()
    posted = [float(json.loads(line[6:])["choices"][0]["text"]) for line in text.decode().split("\n") if line.startswith("data: {")]
    if status != 200 or len(posted) != options.tokens:
        raise SystemExit(f"HTTP {status}, {len(posted)} of {options.tokens} tokens: {text[:300]}")
    seen = [stream.begin + moment for moment in stream.times]
    return worker.taken[name] - stream.begin, [b - a for a, b in zip(posted, seen)], list(zip(posted, seen))


async def by_gateway(options, port):
    worker = Worker(options, port)
    return await rounds(options, port, worker, [worker.take(), worker.post()])


async def directly(options):
    server = Server(options)
    return await rounds(options, await server.open(), server, [server.post()])


async def rounds(options, port, worker, work):
    tasks = [asyncio.create_task(one) for one in work]
    await asyncio.sleep(0.5)
    found = []
    for number in range(-1, options.rounds):
        # Not all at once: clients come at any time of a step.
        streams = asyncio.gather(*(one(options, port, worker, f"{number}.{place}", place * options.step / 1000 * 0.7) for place in range(options.streams)))
        done, _ = await asyncio.wait([asyncio.ensure_future(streams), *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            answers = task.result()
        if number < 0:
            continue
        taken = [1000 * t for t, _, _ in answers]
        relayed = [1000 * d for _, delays, _ in answers for d in delays]
        first = [1000 * (t + delays[0]) for t, delays, _ in answers]
        gaps = [1000 * abs((d - c) - (b - a)) for _, _, pairs in answers for (a, c), (b, d) in zip(pairs, pairs[1:])]
        row = [measuring.quantile(values, q) for values in (taken, relayed, first, gaps) for q in (0.5, 0.95)]
        found.append(row)
    for task in tasks:
        task.cancel()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--step", type=float, default=30, help="ms")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--posts", choices=["long", "single"], default="long")
    parser.add_argument("--store")
    options = parser.parse_args()
    gateway = Gateway(options.binary, {NAME: visitors()}, store=options.store, rateLimits=False)
    try:
        gateway.start()
        processor = measuring.Processor(gateway=gateway.process.pid)
        begin = time.perf_counter()
        found = run(by_gateway(options, gateway.port))
        used = processor.since(time.perf_counter() - begin)
    finally:
        gateway.stop()
        gateway.sweep()
        gateway.remove()
    floor = run(directly(options))
    print(f"{measuring.hardware()}; {options.streams} streams of {options.tokens} tokens, a token each {options.step:g} ms, {options.rounds} rounds; {measuring.percent(used)} of one core")
    for place, name in enumerate(["request to worker", "post to client", "added to the first token", "gap at the client from gap at the worker"]):
        p50, p95 = ([row[2 * place + k] for row in found] for k in (0, 1))
        own = [row[2 * place] for row in floor]
        print(f"{name:42} p50 {measuring.spread(p50)} ms   p95 {statistics.median(p95):6.1f} ms   without a gateway p50 {measuring.spread(own)} ms")


if __name__ == "__main__":
    main()
