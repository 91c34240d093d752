"""What soak.py is made of: the server as seen from outside, requests, and clients that behave and misbehave. Standard library only."""
import collections
import http.client
import json
import random
import re
import socket
import threading
import time

WORDS = ("the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you "
         "were all her she there would their we him been has when who will no more if out so up said what its about than into them can "
         "only other time new some could these two may first then do any like my now over such our man me even most made after also "
         "did many off before must well back through years where much your way down should because long each just state people those "
         "too mr how little good world make very year still see own work men day get here old life both between being under three").split()


class Server:
    """Plain requests and figures."""

    def __init__(self, port, timeout=240):
        self.port, self.timeout = port, timeout

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)

    def get(self, path):
        c = self.connect()
        try:
            c.request("GET", path, headers={"Connection": "close"})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def post(self, path, body):
        """Status and answer of a body: an object, or bytes as they are."""
        c = self.connect()
        try:
            c.request("POST", path, body if isinstance(body, bytes) else json.dumps(body),
                      {"Content-Type": "application/json", "Connection": "close"})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def metric(self, name):
        values = re.findall(rf"^vllm:{name}(?:\{{[^}}]*\}})? ([-+.\de]+)$", self.get("/metrics")[1], re.M)
        if not values:
            raise AssertionError(f"/metrics has no vllm:{name}")
        return sum(map(float, values))

    def held(self):
        names = ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"]
        return {n: self.metric(n) for n in names}

    def idle(self, limit_s=30):
        """Whether all three gauges come down to exactly 0."""
        end = time.time() + limit_s
        while any(self.held().values()):
            if time.time() > end:
                return False
            time.sleep(0.05)
        return True


class Plan:
    """One request of phase A."""

    def __init__(self, prompt, sampling):
        self.prompt, self.sampling = prompt, sampling

    @classmethod
    def of_stream(cls, i, a):
        rng = random.Random(a.seed * 1000 + i)
        # Many short prompts and a few long ones; outputs the other way round.
        words = 1 + int(a.prompt_words * (i / a.streams) ** 2)
        sampling = {"max_tokens": max(2, a.output_tokens - int(a.output_tokens * 0.8 * rng.random() ** 2))}
        if i % 2:
            sampling |= {"temperature": 0.8 + rng.random() / 2, "top_p": 0.95, "seed": rng.getrandbits(40)}
            if i % 4 == 3:
                sampling |= {"presence_penalty": 0.5, "repetition_penalty": 1.1}
        else:
            sampling["temperature"] = 0
        return cls(text(rng, words), sampling)

    def body(self, salt):
        """The salt keeps rounds from finding each other's prompts in the prefix cache."""
        return {"model": "soak", "prompt": self.prompt, "stream": True, "logprobs": 3, "return_token_ids": True, "ignore_eos": True,
                "cache_salt": salt, "stream_options": {"include_usage": True}, **self.sampling}


def text(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def events(response):
    """Events of a stream, '[DONE]' as None at the end."""
    while line := response.readline():
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data: "):
            data = line[6:]
            if data == b"[DONE]":
                yield None
                return
            yield json.loads(data)
    raise AssertionError("the stream ended without [DONE]")


def read_all(server, body):
    """A completions stream to its end. Log-probabilities stay as the server printed them, so that equal means equal."""
    c = server.connect()
    try:
        c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json", "Connection": "close"})
        r = c.getresponse()
        if r.status != 200:
            raise AssertionError(f"status {r.status}: {r.read()[:200]!r}")
        ids, logprobs, words, usage = [], [], [], None
        for event in events(r):
            if event is None:
                break
            if "error" in event:
                raise AssertionError(f"error in the stream: {event}")
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                ids += choice["token_ids"]
                words += [choice["text"], choice["finish_reason"] or ""]
                lp = choice["logprobs"]
                logprobs += zip(lp["token_logprobs"], lp["tokens"], lp["top_logprobs"])
        if usage["completion_tokens"] != len(ids) or len(logprobs) != len(ids):
            raise AssertionError(f"{len(ids)} ids and {len(logprobs)} log-probabilities for {usage}")
        if body["ignore_eos"] and len(ids) != body["max_tokens"]:
            raise AssertionError(f"{len(ids)} tokens of {body['max_tokens']}")
        return {"token_ids": ids, "logprobs": logprobs, "text": "".join(words)}
    finally:
        c.close()


def alike(x, y, key):
    return isinstance(x, dict) and isinstance(y, dict) and x[key] == y[key]


class Clients:
    """Threads that send random requests, one at a time each, until the deadline."""

    LIMIT = 100_000

    def __init__(self, server, a):
        self.server, self.a = server, a
        self.counts, self.errors, self.lock = collections.Counter(), [], threading.Lock()

    def loop(self, n, deadline):
        rng = random.Random(f"{self.a.seed} {n}")
        kinds = [self.full, self.leaves_mid_stream, self.leaves_at_once, self.leaves_plain, self.half_sent, self.mistaken, self.looks]
        while time.time() < deadline and sum(self.counts.values()) < self.LIMIT and len(self.errors) < 20:
            kind = rng.choices(kinds, [30, 30, 15, 8, 4, 8, 5])[0]
            try:
                kind(rng)
            except Exception as e:                      # noqa: BLE001 (whatever happens to a client is a finding)
                with self.lock:
                    self.errors.append(f"{kind.__name__}: {type(e).__name__}: {e}"[:300])
            with self.lock:
                self.counts[kind.__name__.replace("_", " ")] += 1

    def request(self, rng, stream=True):
        """A completion or chat, often with a beginning that others have too."""
        shared = text(random.Random(rng.randrange(4)), rng.choice([0, 20, 60]))
        prompt = (shared + " " + text(rng, 1 + int(self.a.prompt_words * 0.7 * rng.random() ** 2))).strip()
        body = {"model": "soak", "stream": stream, "max_tokens": rng.randint(1, self.a.output_tokens), "ignore_eos": rng.random() < 0.7,
                "temperature": rng.choice([0, 0.7, 1.2])}
        if body["temperature"] and rng.random() < 0.2:
            body["n"] = rng.randint(2, 3)
        if rng.random() < 0.2:
            body["stop"] = [" and", " the"]
        if rng.random() < 0.5:
            return "/v1/completions", body | {"prompt": prompt} | ({"logprobs": 3} if rng.random() < 0.3 else {})
        chat = {"messages": [{"role": "user", "content": prompt}]}
        return "/v1/chat/completions", body | chat | ({"logprobs": True, "top_logprobs": 3} if rng.random() < 0.3 else {})

    def open(self, rng, stream=True):
        path, body = self.request(rng, stream)
        c = self.server.connect()
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return c, body

    def full(self, rng):
        stream = rng.random() < 0.7
        c, body = self.open(rng, stream)
        try:
            r = c.getresponse()
            assert r.status == 200, f"status {r.status}: {r.read()[:200]!r}"
            replies = [e for e in events(r) if e is not None] if stream else [json.loads(r.read())]
            ends = [x["index"] for reply in replies for x in reply["choices"] if x["finish_reason"]]
            assert sorted(ends) == list(range(body.get("n", 1))), f"choices that finished: {ends}"
        finally:
            c.close()

    def leaves_mid_stream(self, rng):
        c, _ = self.open(rng)
        try:
            r = c.getresponse()
            assert r.status == 200, f"status {r.status}: {r.read()[:200]!r}"
            patience = rng.randint(1, 12)
            for count, _ in enumerate(events(r)):
                if count >= patience:
                    break
            reset(c, rng)
        finally:
            c.close()

    def leaves_at_once(self, rng):
        """Before the first byte: at once, or while it waits for its turn."""
        c, _ = self.open(rng)
        time.sleep(rng.choice([0, 0, 0.01, 0.1, 0.5]))
        reset(c, rng)
        c.close()

    def leaves_plain(self, rng):
        c, _ = self.open(rng, stream=False)
        time.sleep(rng.choice([0, 0.05, 0.3]))
        c.close()

    def half_sent(self, rng):
        path, body = self.request(rng)
        data = json.dumps(body).encode()
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as s:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            s.sendall((head + data)[:rng.randrange(1, len(head) + len(data))])

    def mistaken(self, rng):
        good = {"model": "soak", "prompt": "a", "max_tokens": 2}
        body, status = rng.choice([
            (b"{", 400), (b"", 400), (b"[1, 2", 400), (good | {"max_tokens": -1}, 400), (good | {"temperature": 9}, 400),
            (good | {"model": "nobody"}, 404), (good | {"prompt": "a " * 3000}, 400), (good | {"prompt": [1 << 30]}, 400),
            (good | {"n": 2, "temperature": 0}, 400), (good | {"stop": [""]}, 400), ({"model": "soak"}, 400)])
        found, answer = self.server.post("/v1/completions", body)
        assert found == status, f"status {found} for {str(body)[:100]}: {answer[:200]}"

    def looks(self, rng):
        status, _ = self.server.get(rng.choice(["/metrics", "/health", "/v1/models"]))
        assert status == 200, f"status {status}"


def reset(c, rng):
    """Half of those that leave do so with a reset instead of an orderly end."""
    if c.sock and rng.random() < 0.5:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
