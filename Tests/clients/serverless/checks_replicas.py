"""Checks of two gateways on one PostgreSQL, for two_gateways.py. Endpoints `far…` have their workers at the second gateway, `near…` at the first."""
import json
import time

import requests

from api import TERMINAL, between, ensure, equal, eventually
from bench import needs, together
from gateway import CLIENT_KEY, visitors
from visitors import Visitor

FAR = [("far", 0), ("near", 1)]                         # endpoint, and which gateway its clients use: the one that its workers do not know
PROMPT = "The river ran down from the hills to the sea. The river ran"
ENDPOINTS = {name: visitors() for name in ("far", "farchunks", "farscripted", "farmodel", "near", "nearchunks", "keyed", "purged")}


def worker(model):
    """Variables of the binary's own worker."""
    return {"MODEL_NAME": model, "MAX_MODEL_LEN": "1024", "MAX_CONCURRENCY": "2", "KV_CACHE_MEMORY": "256MiB", "THREADS": "1",
            "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "smollm2"}


def same_at_both(pair, endpoint, job, state):
    """The status payload, which must be the same at both."""
    found = [api.status(job) for api in pair.apis(endpoint)]
    equal([one["status"] for one in found], [state, state], "state at both gateways")
    equal(found[0].get("output"), found[1].get("output"), "output at both gateways")
    return found[0]


@needs()
def check_01_run(pair):
    """A job submitted at one gateway is done by a worker that only the other one knows; both tell the same of it."""
    times = []
    for endpoint, side in FAR:
        apis = pair.apis(endpoint)
        for value in range(3):
            begin = time.monotonic()
            job = apis[side].run({"do": "sleep", "seconds": 0, "value": value})
            apis[side].completed(job, 60)
            times.append(time.monotonic() - begin)
            payload = same_at_both(pair, endpoint, job, "COMPLETED")
            equal((payload["output"]["value"], payload["workerId"]), (value, "v" + endpoint), "value and worker")
    return f"in {sorted(times)[len(times) // 2] * 1000:.0f} ms"


@needs()
def check_02_runsync(pair):
    """`/runsync` and `/status-sync` at one gateway hear of the end at the other one at once."""
    delays = []
    for endpoint, side in FAR:
        api = pair.apis(endpoint)[side]
        for _ in range(3):
            body = api.runsync({"do": "sleep", "seconds": 0.3, "value": 1})
            delays.append(time.time() - body["output"]["at"])
            equal((body["status"], body["output"]["value"]), ("COMPLETED", 1), "state and value")
            job = api.run({"do": "sleep", "seconds": 0.3, "value": 2})
            body = api.call("GET", f"status-sync/{job}?wait=30000").ok()
            delays.append(time.time() - body["output"]["at"])
            equal(body["status"], "COMPLETED", "state")
    between(max(delays), 0, 5, "seconds from the handler's end to the answer")
    return f"answered {sorted(delays)[len(delays) // 2] * 1000:.0f} ms after the handler's end, at most {max(delays) * 1000:.0f} ms"


@needs()
def check_03_stream(pair):
    """`/stream` at one gateway gives the chunks that come in at the other: all, once, in order, as they come; readers at both share them."""
    delays = []
    for endpoint, side in (("farchunks", 0), ("nearchunks", 1)):
        apis = pair.apis(endpoint)
        job = apis[side].run({"chunks": [{"time": True}] * 12, "gap": 0.25})
        chunks, state = [], None
        while state not in TERMINAL:
            answer = apis[side].stream(job)
            state = answer["status"]
            delays += [time.time() - item["output"]["time"] for item in answer["stream"]]
            chunks += [item["output"]["time"] for item in answer["stream"]]
        equal((len(chunks), chunks, state), (12, sorted(chunks), "COMPLETED"), "chunks in order, and the state")
        wanted = list(range(60))
        job = apis[side].run({"chunks": wanted, "gap": 0.02})
        both = together(*[lambda gateway=gateway: gateway.api().on(endpoint).drained(job) for gateway in pair.both])
        for found, state in both:
            equal((found, state), (sorted(found), "COMPLETED"), "order at one gateway, and the state")
        equal(sorted(both[0][0] + both[1][0]), wanted, "chunks of a reader at each gateway")
        for api in apis:
            equal([item["output"] for item in api.stream(job, "?after=0")["stream"]], wanted, "chunks read again with ?after=0")
        equal(same_at_both(pair, endpoint, job, "COMPLETED")["id"], job, "id")
    # The gap is 0.25 s: chunks that came only at the end would be 3 s old.
    between(sorted(delays)[len(delays) // 2], -0.1, 1, "median age of a chunk when it is read, seconds")
    return f"chunks {sorted(delays)[len(delays) // 2] * 1000:.0f} ms old, at most {max(delays) * 1000:.0f} ms"


def streamed(gateway, endpoint, body, path):
    """Events of a stream: (seconds, data)."""
    begin = time.monotonic()
    with requests.post(f"{gateway.base}/v2/{endpoint}/openai/v1/{path}", json={**body, "stream": True}, stream=True, timeout=120,
                       headers={"Authorization": f"Bearer {CLIENT_KEY}"}) as response:
        equal(response.status_code, 200, "HTTP status of a stream")
        lines = [(time.monotonic() - begin, line.decode()) for line in response.iter_lines() if line and not line.startswith(b":")]
    equal(lines[-1][1], "data: [DONE]", "last line")
    return [(at, json.loads(line.removeprefix("data: "))) for at, line in lines[:-1]]


@needs()
def check_04_openai(pair):
    """An OpenAI stream at one gateway from a worker on Runpod's SDK at the other: the text, event by event, and `[DONE]`."""
    texts = [f"{n} ✓ " for n in range(10)]
    script = {"model": "scripted", "messages": [{"role": "user", "content": json.dumps({"texts": texts, "gap": 0.2})}]}
    events = streamed(pair.first, "farscripted", script, "chat/completions")
    equal([e["choices"][0]["delta"].get("content") for _, e in events if e["choices"][0]["delta"]], texts, "texts")
    ensure(events[-1][0] - events[0][0] > 1, "they come one after another", [round(at, 2) for at, _ in events])
    answer = pair.apis("farscripted")[0].call("POST", "openai/v1/chat/completions", script).ok()
    equal(answer["choices"][0]["message"]["content"], "".join(texts), "the same without a stream")


@needs(model=True)
def check_05_openai_worker(pair):
    """The same from the binary's own worker with a model, several at once."""
    body = {"model": "smollm2", "prompt": PROMPT, "max_tokens": 32, "temperature": 0, "ignore_eos": True}
    wanted = pair.apis("farmodel")[1].call("POST", "openai/v1/completions", body, timeout=120).ok()["choices"][0]["text"]
    found = together(*[lambda: streamed(pair.first, "farmodel", body, "completions")] * 3)
    for events in found:
        equal("".join(c["text"] for _, e in events for c in e["choices"]), wanted, "text of a stream")
        ensure(len(events) > 5 and events[-1][0] - events[0][0] > 0.05, "event by event", [round(at, 2) for at, _ in events])
    plain = pair.apis("farmodel")[0].call("POST", "openai/v1/completions", body, timeout=120).ok()
    equal(plain["choices"][0]["text"], wanted, "text without a stream")
    return f"{len(found[0])} events"


@needs()
def check_06_cancel(pair):
    """`/cancel` at one gateway stops the handler at the other, and frees its place."""
    waits = []
    for endpoint, side in FAR:
        apis = pair.apis(endpoint)
        for _ in range(4):
            job = apis[side].run({"do": "sleep", "seconds": 20})
            eventually(lambda: pair.records(endpoint, "start", job=job), 30, "the handler starts")
            begin = time.time()
            equal(apis[side].cancel(job)["status"], "CANCELLED", "answer to cancel")
            line = eventually(lambda: pair.records(endpoint, "cancelled", job=job), 8, f"{endpoint}: the handler is interrupted")[0]
            waits.append(line["at"] - begin)
            same_at_both(pair, endpoint, job, "CANCELLED")
        done = apis[side].run({"do": "sleep", "seconds": 0, "value": 3})
        equal(apis[side].completed(done, 15)["workerId"], "v" + endpoint, "worker of the next job")
    return f"interrupted after {sorted(waits)[len(waits) // 2]:.2f} s, at most {max(waits):.2f} s"


@needs()
def check_07_time_limit(pair):
    """A job that runs too long is stopped at its worker, whichever gateway notices first."""
    def one(endpoint, side):
        apis = pair.apis(endpoint)
        jobs = [apis[side].run({"do": "sleep", "seconds": 20}, policy={"executionTimeout": 5000}) for _ in range(3)]
        for job in jobs:
            apis[side].until(job, "TIMED_OUT", 30)
            eventually(lambda: pair.records(endpoint, "cancelled", job=job), 5, f"{endpoint}: the handler is interrupted")
            same_at_both(pair, endpoint, job, "TIMED_OUT")
    together(*[lambda way=way: one(*way) for way in FAR])


@needs()
def check_08_health(pair):
    """`/health` says the same at both, of jobs and of workers."""
    def one(endpoint, side):
        apis = pair.apis(endpoint)
        eventually(lambda: all(api.health()["workers"]["idle"] == 1 for api in apis), 25, f"{endpoint}: the worker is idle at both")
        job = apis[side].run({"do": "sleep", "seconds": 4})
        apis[side].until(job, "IN_PROGRESS", 10)
        eventually(lambda: all(api.health()["workers"]["running"] == 1 for api in apis), 3, f"{endpoint}: the worker runs at both")
        apis[side].completed(job, 15)
        eventually(lambda: all(api.health()["workers"]["idle"] == 1 for api in apis), 3, f"{endpoint}: the worker is idle again at both")
        equal(apis[0].health()["jobs"], apis[1].health()["jobs"], "jobs at both")
    together(*[lambda way=way: one(*way) for way in FAR])


@needs()
def check_09_keys(pair):
    """Keys made at one gateway open the other, and are refused there once they are revoked."""
    first, second = pair.both
    made = {role: first.admin("POST", "keys", {"name": f"made-{role}", "role": role}).ok("key")["key"] for role in ("client", "worker", "admin")}

    def status(gateway, role):
        path = {"client": "/v2/keyed/health", "worker": "/v2/keyed/ping/vkeyed", "admin": "/admin/api/endpoints"}[role]
        return gateway.api(made[role]).call("GET", path).status

    begin = time.monotonic()
    for role in made:
        equal(status(first, role), 200, f"{role} key where it was made")
        eventually(lambda role=role: status(second, role) == 200, 5, f"the {role} key opens the other gateway")
    opened = time.monotonic() - begin
    guest = Visitor(second, "keyed", "vkeyedguest", key=made["worker"], HANDLER="task")
    try:
        api = first.api(made["client"]).on("keyed")
        job = api.run({"do": "sleep", "seconds": 0, "value": 1})
        equal(api.completed(job, 40)["workerId"], "vkeyedguest", "worker with the new key")
        begin = time.monotonic()
        for role in made:
            first.admin("DELETE", f"keys/made-{role}").ok("revoke")
        for role in made:
            equal(status(first, role), 401, f"revoked {role} key where it was made")
            eventually(lambda role=role: status(second, role) == 401, 5, f"the revoked {role} key is refused at the other gateway")
        gone = time.monotonic() - begin
        # The take that the worker holds open was let in before: its answer may be one more job, and no more.
        for _ in range(3):
            job = pair.apis("keyed")[0].run({"do": "sleep", "seconds": 0, "value": 2})
            time.sleep(0.7)
        equal(pair.apis("keyed")[0].state(job), "IN_QUEUE", "state of a job after the worker's key was revoked")
    finally:
        guest.kill()
        pair.apis("keyed")[0].call("POST", "purge-queue")
    return f"open after {opened:.2f} s, refused after {gone:.2f} s"


@needs()
def check_10_definitions(pair):
    """An endpoint defined at one gateway is there at the other, as is a change to it, and its end."""
    first, second = pair.both
    first.admin("PUT", "endpoints/added", visitors(executionTimeoutMs=60_000)).ok("define")
    there = eventually(lambda: (a := second.admin("GET", "endpoints/added")).status == 200 and a.json, 5, "the endpoint is at the other gateway")
    equal(there["definition"]["executionTimeoutMs"], 60_000, "setting at the other gateway")
    guest = Visitor(second, "added", "vadded", HANDLER="task")
    try:
        job = first.api().on("added").run({"do": "sleep", "seconds": 0, "value": 4})
        equal(second.api().on("added").completed(job, 40)["output"]["value"], 4, "output")
    finally:
        guest.kill()
    second.admin("PUT", "endpoints/added", visitors(executionTimeoutMs=30_000)).ok("change")
    eventually(lambda: first.admin("GET", "endpoints/added").ok()["definition"]["executionTimeoutMs"] == 30_000, 5, "the change is at the first gateway")
    first.admin("DELETE", "endpoints/added").ok("remove")
    eventually(lambda: second.api().on("added").call("GET", "health").status == 404, 5, "the endpoint is gone at the other gateway")


@needs()
def check_11_purge(pair):
    """`/purge-queue` at one gateway empties the queue of both: nothing of it runs when a worker comes to the other."""
    one, other = pair.apis("purged")
    jobs = [api.run({"do": "sleep", "seconds": 0}) for _ in range(10) for api in (one, other)]
    equal([api.health()["jobs"]["inQueue"] for api in (one, other)], [20, 20], "jobs that wait, by both")
    equal(one.call("POST", "purge-queue").ok(), {"removed": 20, "status": "completed"}, "answer")
    equal([api.health()["jobs"]["inQueue"] for api in (one, other)], [0, 0], "jobs that wait afterwards, by both")
    equal({api.state(job) for job in jobs for api in (one, other)}, {"CANCELLED"}, "states")
    guest = Visitor(pair.second, "purged", "vpurged", HANDLER="task")
    try:
        last = one.run({"do": "sleep", "seconds": 0, "value": 5})
        other.completed(last, 40)
        equal({line["job"] for line in pair.records("purged", "start")}, {last}, "jobs that ran")
    finally:
        guest.kill()
