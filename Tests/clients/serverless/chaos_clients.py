"""The load of chaos.py: clients that submit, read along, cancel, and keep a book of what they were promised and what they got."""
import asyncio
import collections
import json
import random
import sys
import time

import aiohttp

from api import TERMINAL
from chaos_plans import delta_text, native_text, openai_text

BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


class Http:
    """Calls to one endpoint, at each gateway in turn. What breaks is raised; statuses are given back."""

    def __init__(self, session, bases, endpoint, key):
        self.session, self.roots, self.head = session, [f"{base}/v2/{endpoint}/" for base in bases], {"Authorization": f"Bearer {key}"}
        self.turn = 0

    def next(self):
        """The number of the gateway whose turn it is."""
        self.turn += 1
        return self.turn % len(self.roots)

    async def json(self, method, path, body=None, timeout=130, gateway=None):
        limit, root = aiohttp.ClientTimeout(total=timeout), self.roots[self.next() if gateway is None else gateway]
        async with self.session.request(method, root + path, json=body, headers=self.head, timeout=limit) as answer:
            data = await answer.read()
            try:
                return answer.status, json.loads(data)
            except ValueError:
                return answer.status, {"error": data[:200].decode(errors="replace")}

    async def surely(self, method, path, body=None, seconds=180, timeout=30):
        """Repeats a call that may be repeated until it is answered by something else than trouble of the moment."""
        limit = time.monotonic() + seconds
        while True:
            try:
                status, answer = await self.json(method, path, body, timeout)
                if status not in (429, 500, 502, 503, 504):
                    return status, answer
                trouble = f"HTTP {status}: {answer}"
            except BROKEN as error:
                trouble = repr(error)
            if time.monotonic() > limit:
                raise TimeoutError(f"{method} {path} not answered within {seconds} s: {trouble}")
            await asyncio.sleep(0.3)


def apart(found, wanted):
    """Where two texts part, with a little around it."""
    place = next((n for n, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    start = max(0, place - 30)
    return f"{len(found)} and {len(wanted)} characters, from {place}: {found[start:place + 50]!r} instead of {wanted[start:place + 50]!r}"


class Accepted:
    """A job that was answered with 200: from then on it is owed a result."""

    def __init__(self, job, plan, kind, hook):
        self.job, self.plan, self.kind, self.hook = job, plan, kind, hook
        self.cancelled, self.result = False, None


class Book:
    """All that was promised, and all that went wrong."""

    def __init__(self):
        self.accepted, self.counts, self.wrongs = {}, collections.Counter(), []
        self.deaths, self.completions, self.begin = [], [], time.time()    # deaths: [gateway, killed at, back at or None]

    def right(self, what):
        self.counts[what] += 1
        self.completions.append(time.time() - self.begin)

    def wrong(self, kind, text):
        self.counts["wrong: " + kind] += 1
        self.wrongs.append((round(time.time() - self.begin, 1), kind, text[:400]))
        print(f"{self.wrongs[-1][0]} s: {kind}: {text[:400]}", file=sys.stderr, flush=True)

    def gateway_died(self, gateway, since, until):
        """Whether that gateway was dead at any time in that span (clients notice a little later)."""
        return any(one == gateway and killed <= until + 0.2 and (back is None or since <= back + 0.2) for one, killed, back in self.deaths)


class Clients:
    def __init__(self, http, plans, book, receiver, seed):
        self.http, self.plans, self.book, self.receiver, self.seed = http, plans, book, receiver, seed
        self.kinds = {self.poll: 24, self.sync: 14, self.replay: 20, self.openai_stream: 28, self.openai_plain: 7, self.cancel: 12}

    async def loop(self, number, deadline):
        rng = random.Random(f"client {self.seed} {number}")
        while time.monotonic() < deadline:
            kind = rng.choices(list(self.kinds), list(self.kinds.values()))[0]
            name = kind.__name__
            self.book.counts["asked: " + name] += 1
            try:
                await kind(rng, rng.choice(self.plans))
            except Exception as error:                  # noqa: BLE001 (whatever a client meets is a finding)
                self.book.wrong("client", f"{name}: {type(error).__name__}: {error}")

    async def submit(self, rng, plan, kind, operation="run", stream=False):
        """Submits a job. None: no answer, or refused; nothing was promised."""
        body, hook = {"input": plan.native(stream)}, None
        if kind == "poll" and rng.random() < 0.5:
            hook = f"hook-{rng.getrandbits(64):x}"
            body["webhook"] = self.receiver.url(hook)
        try:
            status, answer = await self.http.json("POST", operation, body)
        except BROKEN:
            self.book.counts["submissions without an answer"] += 1
            await asyncio.sleep(0.3)
            return None, None
        if status in (429, 500, 502, 503, 504):
            self.book.counts["submissions refused for the moment"] += 1
            await asyncio.sleep(0.3)
            return None, None
        if status != 200:
            self.book.wrong("refused", f"{operation}: HTTP {status}: {answer}")
            return None, None
        one = Accepted(answer["id"], plan, kind, hook)
        self.book.accepted[one.job] = one
        return one, answer

    async def ended(self, one, seconds=300):
        """Polls until the job is over; its payload. A job that is gone is a job lost."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            status, answer = await self.http.surely("GET", f"status/{one.job}")
            if status != 200:
                self.book.wrong("lost", f"{one.kind} {one.job}: HTTP {status}: {answer}")
                return None
            if answer["status"] in TERMINAL:
                return self.settle(one, answer)
            await asyncio.sleep(0.4)
        self.book.wrong("lost", f"{one.kind} {one.job}: not over after {seconds} s: {answer}")
        return None

    def settle(self, one, answer):
        """The first result is remembered; every later look must show the same."""
        one.result = one.result or (answer["status"], answer.get("output"))
        if one.cancelled and answer["status"] == "CANCELLED":
            self.book.counts["cancelled"] += 1
            return answer
        if answer["status"] != "COMPLETED":
            self.book.wrong("lost", f"{one.kind} {one.job}: {answer}")
        elif native_text(answer["output"]) != one.plan.text:
            self.book.wrong("text", f"{one.kind} {one.job}: {apart(native_text(answer['output']), one.plan.text)}")
        else:
            self.book.right("completed with the right text")
        self.book.counts["retries"] += answer.get("retries", 0)
        return answer

    # ------------------------------------------------------------------ kinds of clients

    async def poll(self, rng, plan):
        one, _ = await self.submit(rng, plan, "poll", stream=rng.random() < 0.5)
        if one:
            await self.ended(one)

    async def sync(self, rng, plan):
        one, answer = await self.submit(rng, plan, "sync", "runsync?wait=60000")
        if one and answer["status"] in TERMINAL:
            self.settle(one, answer)
        elif one:
            await self.ended(one)

    async def replay(self, rng, plan):
        """Reads a job's chunks by index, going on where it was after each break."""
        one, _ = await self.submit(rng, plan, "replay", stream=True)
        if not one:
            return
        texts, next_index, limit = [], 0, time.monotonic() + 300
        while time.monotonic() < limit:
            status, answer = await self.http.surely("GET", f"stream/{one.job}?after={next_index}&wait=3000")
            if status != 200:
                return self.book.wrong("lost", f"replay {one.job}: HTTP {status}: {answer}")
            for item in answer["stream"]:
                if item["index"] != next_index:
                    self.book.wrong("stream", f"replay {one.job}: chunk {item['index']} where {next_index} comes next")
                next_index = item["index"] + 1
                texts.append(native_text([item["output"]]))
            if not plan.text.startswith("".join(texts)):
                return self.book.wrong("stream", f"replay {one.job}: {apart(''.join(texts), plan.text)}")
            if answer["status"] in TERMINAL and not answer["stream"]:
                break
        await self.ended(one)
        if "".join(texts) != plan.text:
            self.book.wrong("stream", f"replay {one.job}: {apart(''.join(texts), plan.text)}")
        else:
            self.book.right("streams right to the end")

    async def openai_stream(self, rng, plan):
        """A stream may break where the gateway dies, and nowhere else; what came before is right in any case."""
        path, body = plan.openai(True)
        text, done, begin, trouble, gateway = "", False, time.time(), None, self.http.next()
        try:
            async with self.http.session.post(self.http.roots[gateway] + "openai/v1/" + path, json=body, headers=self.http.head,
                                              timeout=aiohttp.ClientTimeout(total=300)) as answer:
                if answer.status != 200:
                    refusal = await answer.text()
                    if answer.status in (429, 503):
                        self.book.counts["submissions refused for the moment"] += 1
                        return await asyncio.sleep(0.3)
                    raise aiohttp.ClientError(f"HTTP {answer.status}: {refusal[:300]}")
                async for line in answer.content:
                    line = line.decode().rstrip("\r\n")
                    if line == "data: [DONE]":
                        done = True
                    elif line.startswith("data: "):
                        event = json.loads(line[6:])
                        if "error" in event:
                            trouble = f"error event {event}"
                        text += delta_text(event)
                    elif line and not line.startswith(":"):
                        trouble = f"line {line!r}"
        except BROKEN as error:
            trouble = f"{type(error).__name__}: {error}"
        self.judge(plan, text, done, gateway, begin, trouble)

    def judge(self, plan, text, done, gateway, begin, trouble):
        if not plan.text.startswith(text) or (done and text != plan.text):
            self.book.wrong("stream", f"OpenAI stream of plan {plan.number}: {apart(text, plan.text)}")
        elif done and not trouble:
            self.book.right("streams right to the end")
        elif self.book.gateway_died(gateway, begin, time.time()):
            self.book.counts["streams cut by the gateway's death, right so far" if text else "streams refused while there was no gateway"] += 1
        else:
            self.book.wrong("broken stream", f"OpenAI stream of plan {plan.number} after {time.time() - begin:.1f} s and {len(text)} of {len(plan.text)} characters: {trouble}")

    async def openai_plain(self, rng, plan):
        path, body = plan.openai(False)
        begin, gateway = time.time(), self.http.next()
        try:
            status, answer = await self.http.json("POST", "openai/v1/" + path, body, 300, gateway)
        except BROKEN as error:
            if self.book.gateway_died(gateway, begin, time.time()):
                self.book.counts["plain requests cut by the gateway's death"] += 1
            else:
                self.book.wrong("broken request", f"OpenAI request of plan {plan.number}: {error!r}")
            return
        if status in (429, 503):
            self.book.counts["submissions refused for the moment"] += 1
            await asyncio.sleep(0.3)
        elif status != 200:
            self.book.wrong("lost", f"OpenAI request of plan {plan.number}: HTTP {status}: {answer}")
        elif openai_text(answer) != plan.text:
            self.book.wrong("text", f"OpenAI request of plan {plan.number}: {apart(openai_text(answer), plan.text)}")
        else:
            self.book.right("completed with the right text")

    async def cancel(self, rng, plan):
        one, _ = await self.submit(rng, plan, "cancel", stream=rng.random() < 0.5)
        if not one:
            return
        await asyncio.sleep(rng.random() * 3)
        one.cancelled = True
        status, answer = await self.http.surely("POST", f"cancel/{one.job}")
        if status != 200 or answer["status"] not in ("CANCELLED", "COMPLETED"):
            self.book.wrong("cancel", f"{one.job}: HTTP {status}: {answer}")
        await self.ended(one)

    # ------------------------------------------------------------------ afterwards

    async def look_again(self):
        """Every job a second time: the same result, or it had two."""
        for one in self.book.accepted.values():
            status, answer = await self.http.surely("GET", f"status/{one.job}")
            if status != 200:
                self.book.wrong("lost", f"{one.kind} {one.job}: at the end HTTP {status}: {answer}")
            elif one.result is None:
                if answer["status"] not in TERMINAL:
                    self.book.wrong("lost", f"{one.kind} {one.job}: at the end still {answer['status']}")
                else:
                    self.settle(one, answer)
            elif (answer["status"], answer.get("output")) != one.result:
                self.book.wrong("two results", f"{one.job}: {one.result} and {(answer['status'], answer.get('output'))}")

    def webhooks(self):
        """Each job's webhook came, and whenever it came it said the same. A gateway that dies between post and note posts again."""
        for one in self.book.accepted.values():
            if not one.hook:
                continue
            posts = [body for _, body in self.receiver.of(one.hook)]
            self.book.counts["webhooks"] += 1
            self.book.counts["webhooks repeated"] += max(0, len(posts) - 1)
            if not posts:
                self.book.wrong("webhook", f"{one.job}: none came")
            elif any((body["status"], body.get("output")) != one.result for body in posts):
                self.book.wrong("two results", f"webhook of {one.job}: {posts}")
