"""The gateway's HTTP API as a plain client sees it, and waiting for things to come true."""
import time

import requests


class Failed(AssertionError):
    """A check does not hold."""


class Skip(Exception):
    """A check cannot be made here."""


def ensure(holds, what, found=None):
    if not holds:
        raise Failed(what if found is None else f"{what}; found {short(found)}")


def equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: wanted {short(wanted)}, found {short(found)}")


def between(found, low, high, what):
    if not low <= found <= high:
        raise Failed(f"{what}: wanted {low:g} to {high:g}, found {found:.3f}")


def short(value, length=600):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= length else text[:length] + "…"


def eventually(read, seconds, what, every=0.05):
    """Calls `read` until it gives something true, and returns that."""
    limit = time.monotonic() + seconds
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > limit:
            raise Failed(f"not within {seconds:g} s: {what}; last seen {short(value)}")
        time.sleep(every)


TERMINAL = {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}


class Answer:
    def __init__(self, response, seconds):
        self.status, self.headers, self.content, self.seconds = response.status_code, response.headers, response.content, seconds

    @property
    def json(self):
        try:
            return requests.models.complexjson.loads(self.content)
        except ValueError as error:
            raise Failed(f"status {self.status} with a body that is no JSON: {short(self.content)}") from error

    def ok(self, what="answer"):
        """The body of a success: HTTP 200 exactly."""
        equal(self.status, 200, f"{what}: HTTP status ({short(self.content, 200)})")
        return self.json

    def error(self, status, what="answer"):
        """The text of an error with this status."""
        equal(self.status, status, f"{what}: HTTP status ({short(self.content, 200)})")
        text = self.json.get("error")
        ensure(isinstance(text, str) and text, f"{what}: 'error' is a text", self.json)
        return text


class Api:
    """Calls with one key. One for each thread: it keeps its connections."""

    def __init__(self, base, key, prefix="/v2"):
        self.base, self.key, self.prefix = base, key, prefix
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, method, path, body=None, timeout=60, key=None, headers=None, data=None):
        head = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
        begin = time.monotonic()
        response = self.session.request(method, self.base + path, json=body, data=data, headers=head, timeout=timeout)
        return Answer(response, time.monotonic() - begin)

    def on(self, endpoint):
        return EndpointApi(self, endpoint)


class EndpointApi:
    """Operations of one endpoint."""

    def __init__(self, api, name):
        self.api, self.name = api, name

    def call(self, method, operation, body=None, **more):
        return self.api.call(method, f"{self.api.prefix}/{self.name}/{operation}", body, **more)

    def run(self, input, **more):
        """Submits a job; its id."""
        answer = self.call("POST", "run", {"input": input, **more}).ok("run")
        equal(answer.get("status"), "IN_QUEUE", "state of a new job")
        return answer["id"]

    def runsync(self, input, wait=None, timeout=320, **more):
        query = f"?wait={wait}" if wait else ""
        return self.call("POST", "runsync" + query, {"input": input, **more}, timeout=timeout).ok("runsync")

    def status(self, job):
        return self.call("GET", f"status/{job}").ok("status")

    def state(self, job):
        return self.status(job)["status"]

    def stream(self, job, query=""):
        return self.call("GET", f"stream/{job}{query}").ok("stream")

    def cancel(self, job):
        return self.call("POST", f"cancel/{job}").ok("cancel")

    def health(self):
        return self.call("GET", "health").ok("health")

    def until(self, job, states, seconds, every=0.05):
        """The status payload once the job is in one of these states."""
        states = {states} if isinstance(states, str) else set(states)
        limit = time.monotonic() + seconds
        while (payload := self.status(job))["status"] not in states:
            if payload["status"] in TERMINAL or time.monotonic() > limit:
                ended = "ended as" if payload["status"] in TERMINAL else f"after {seconds:g} s is still"
                raise Failed(f"{self.name}: job {ended} {payload['status']} instead of {'/'.join(sorted(states))}: {short(payload)}")
            time.sleep(every)
        return payload

    def completed(self, job, seconds=60):
        return self.until(job, "COMPLETED", seconds)

    def drained(self, job, seconds=60):
        """All chunks by `/stream`, and the state that came with the end."""
        chunks, limit = [], time.monotonic() + seconds
        while time.monotonic() < limit:
            answer = self.stream(job)
            chunks += [item["output"] for item in answer["stream"]]
            if answer["status"] in TERMINAL:
                return chunks, answer["status"]
        raise Failed(f"{self.name}: no end of /stream within {seconds} s; {len(chunks)} chunks")
