"""Checks 1 to 13 and 19: the client API, with Runpod's Python client where it has the call."""
import asyncio
import re
import time

from api import TERMINAL, Api, between, ensure, equal, eventually
from bench import CHUNKS, PLAIN, needs, together
from gateway import WORKER_KEY, sdk, visitors

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
JOB_COUNTERS = {"completed", "failed", "inProgress", "inQueue", "retried"}
WORKER_COUNTERS = {"idle", "initializing", "ready", "running", "throttled", "unhealthy"}


def numbers(payload, *keys):
    for key in keys:
        ensure(type(payload.get(key)) is int and payload[key] >= 0, f"'{key}' is a whole number", payload)


def cancelled(answer, job):
    """Answer to a cancel; it may tell more, as a status payload does."""
    equal((answer.get("id"), answer.get("status")), (job, "CANCELLED"), "answer to cancel")


@needs({"c01": sdk()})
def check_01_run(bench):
    """Python `run` -> id matches `-u1`, state IN_QUEUE, then COMPLETED with output, delayTime, executionTime, workerId."""
    job = bench.client("c01").run({"input": {"do": "sleep", "seconds": 1, "value": "täst ✓"}})
    ensure(re.fullmatch(UUID + "-u1", job.job_id), "form of the id", job.job_id)
    equal(job.status(), "IN_QUEUE", "state before a worker is there")
    output = job.output(timeout=40)
    equal(output["value"], "täst ✓", "output")
    equal(job.status(), "COMPLETED", "state at the end")
    payload = bench.on("c01").status(job.job_id)
    equal(set(payload) & {"id", "status", "output"}, {"id", "status", "output"}, "keys")
    numbers(payload, "delayTime", "executionTime")
    equal(payload["workerId"], output["worker"], "workerId")
    between(payload["executionTime"] / 1000, 1.0, 2.5, "executionTime of a job of 1 s")
    between(payload["delayTime"] / 1000, 0.2, 30, "delayTime with a cold start")
    ensure("error" not in payload, "no error in a completed job", payload)


@needs(PLAIN)
def check_02_run_sync(bench):
    """Python `run_sync` returns output directly; job id begins with `sync-`."""
    client, bodies = bench.client("plain"), []
    client.rp_client.rp_session.hooks["response"].append(lambda response, **_: bodies.append((response.request.path_url, response.json())))
    output = client.run_sync({"input": {"do": "sleep", "seconds": 0.3, "value": 7}}, timeout=60)
    equal(output["value"], 7, "output")
    equal([path for path, _ in bodies], ["/v2/plain/runsync"], "calls made")
    body = bodies[0][1]
    ensure(re.fullmatch("sync-" + UUID + "-u1", body["id"]), "form of the id", body["id"])
    equal(body["status"], "COMPLETED", "state")
    numbers(body, "delayTime", "executionTime")


@needs(PLAIN, quiet=True)
def check_03_runsync_wait(bench):
    """`POST /runsync?wait=1000` with a 5 s handler -> HTTP 200 IN_QUEUE/IN_PROGRESS at about 1 s; `/status` later COMPLETED."""
    plain = bench.on("plain")
    answer = plain.call("POST", "runsync?wait=1000", {"input": {"do": "sleep", "seconds": 5, "value": 1}})
    body = answer.ok("runsync")
    between(answer.seconds, 0.9, 1.6, "seconds to the answer")
    ensure(body["status"] in ("IN_QUEUE", "IN_PROGRESS"), "not over yet", body)
    equal(plain.completed(body["id"], 30)["output"]["value"], 1, "output")
    # Out of range is clamped: 1 ms waits for a second.
    answer = plain.call("POST", "runsync?wait=1", {"input": {"do": "sleep", "seconds": 3}})
    between(answer.seconds, 0.9, 1.6, "seconds with wait=1")


@needs(CHUNKS)
def check_04_stream(bench):
    """Python `Job.stream()` yields all chunks once, in order, and ends; a slow producer (12 s gap) raises no ReadTimeout."""
    wanted = ["first", {"n": 2}, 3, ["four"], "fünf ✓", None, False, "last"]
    job = bench.client("chunks").run({"input": {"chunks": wanted, "gaps": [0, 0, 0.2, 0, 12, 0, 0.5, 0]}})
    begin = time.monotonic()
    equal(list(job.stream()), wanted, "chunks")
    equal(job.status(), "COMPLETED", "state")
    return f"{time.monotonic() - begin:.1f} s"


@needs(CHUNKS)
def check_05_two_readers(bench):
    """Two readers of `/stream` together get each chunk exactly once; a terminal status never comes before the last chunk."""
    wanted = list(range(80))
    job = bench.on("chunks").run({"chunks": wanted, "gap": 0.02})
    both = together(*[lambda: bench.fresh("chunks").drained(job)] * 2)
    for chunks, state in both:
        equal(chunks, sorted(chunks), "order within a reader")
        equal(state, "COMPLETED", "state")
    equal(sorted(both[0][0] + both[1][0]), wanted, "chunks of both readers")
    # Alone: whatever comes with the first terminal status is the end.
    for gap in (0, 0.005, 0.05):
        wanted = list(range(30))
        job = bench.on("chunks").run({"chunks": wanted, "gap": gap})
        equal(bench.on("chunks").drained(job), (wanted, "COMPLETED"), f"chunks up to the first terminal status, gap {gap}")
    again = bench.on("chunks").stream(job)
    equal((again["stream"], again["status"]), ([], "COMPLETED"), "a second drain")
    return f"{len(both[0][0])} + {len(both[1][0])} chunks"


@needs(PLAIN, quiet=True)
def check_06_status_sync(bench):
    """`/status-sync?wait=` holds and returns on completion within 100 ms of done."""
    plain, delays = bench.on("plain"), []
    for _ in range(5):
        job = plain.run({"do": "sleep", "seconds": 0.6})
        body = plain.call("GET", f"status-sync/{job}?wait=30000").ok()
        delays.append(time.time() - body["output"]["at"])
        equal(body["status"], "COMPLETED", "state")
    # From the handler's last line: the worker's own post is part of it.
    middle = sorted(delays)[2]
    ensure(middle < 0.1, "within 100 ms of the handler's end (median of 5)", delays)
    job = plain.run({"do": "sleep", "seconds": 4})
    answer = plain.call("POST", f"status-sync/{job}?wait=1000")
    ensure(answer.ok()["status"] not in TERMINAL, "not over", answer.json)
    between(answer.seconds, 0.9, 1.6, "seconds with wait=1000")
    return f"median {middle * 1000:.0f} ms, most {max(delays) * 1000:.0f} ms"


@needs({"c07": sdk()}, quiet=True)
def check_07_cancel(bench):
    """`Job.cancel()` on queued and on running jobs -> CANCELLED; an async handler is really interrupted; the slot is reused within 2 s."""
    client, raw = bench.client("c07"), bench.on("c07")
    running = client.run({"input": {"do": "sleep", "seconds": 60}})
    raw.until(running.job_id, "IN_PROGRESS", 30)
    eventually(lambda: bench.records("c07", "start"), 5, "the handler starts")
    queued = client.run({"input": {"do": "sleep", "seconds": 60}})
    following = client.run({"input": {"do": "sleep", "seconds": 0}})
    cancelled(queued.cancel(), queued.job_id)
    cancelled_at = time.time()
    cancelled(running.cancel(), running.job_id)
    interrupted = eventually(lambda: bench.records("c07", "cancelled", job=running.job_id), 5, "the handler is interrupted")[0]
    between(interrupted["at"] - cancelled_at, -0.1, 1.5, "seconds to the interruption")
    start = eventually(lambda: bench.records("c07", "start", job=following.job_id), 5, "the next job starts")[0]
    between(start["at"] - cancelled_at, -0.1, 2.0, "seconds until the slot is used again")
    equal(start["worker"], interrupted["worker"], "worker of the next job")
    raw.completed(following.job_id, 10)
    for job in (running, queued):
        equal(job.status(), "CANCELLED", "state by /status")
        payload = raw.status(job.job_id)
        numbers(payload, "delayTime", "executionTime")
    ensure(not bench.records("c07", job=queued.job_id), "the cancelled job of the queue never ran")
    equal(raw.cancel(following.job_id)["status"], "COMPLETED", "cancel of a completed job changes nothing")
    return f"interrupted after {interrupted['at'] - cancelled_at:.2f} s, slot used after {start['at'] - cancelled_at:.2f} s"


@needs({"c08": sdk()})
def check_08_purge_queue(bench):
    """`purge_queue()` returns the removed count; the running job completes."""
    client, raw = bench.client("c08"), bench.on("c08")
    running = raw.run({"do": "sleep", "seconds": 4, "value": 1})
    raw.until(running, "IN_PROGRESS", 30)
    waiting = [raw.run({"do": "echo"}) for _ in range(5)]
    equal(client.purge_queue(), {"removed": 5, "status": "completed"}, "answer")
    equal(raw.health()["jobs"]["inQueue"], 0, "jobs in the queue afterwards")
    equal(raw.completed(running, 20)["output"]["value"], 1, "output of the running job")
    for job in waiting:
        answer = raw.call("GET", f"status/{job}")
        ensure(answer.status == 404 or answer.ok()["status"] == "CANCELLED", "a purged job is gone or cancelled", answer.content)
    time.sleep(1)
    equal({line["job"] for line in bench.records("c08", "start")}, {running}, "jobs that ran")
    equal(client.purge_queue(), {"removed": 0, "status": "completed"}, "purging an empty queue")


@needs(PLAIN)
def check_09_retry(bench):
    """`/retry` on FAILED -> same id, IN_QUEUE, then COMPLETED; on COMPLETED -> 400."""
    plain = bench.on("plain")
    job = plain.run({"do": "fail_once", "file": bench.path("failed-once")})
    failed = plain.until(job, "FAILED", 40)
    ensure("first time" in failed["error"], "error of the first run", failed)
    equal(plain.call("POST", f"retry/{job}").ok("retry"), {"id": job, "status": "IN_QUEUE"}, "answer")
    payload = plain.until(job, "COMPLETED", 40)
    equal(payload["output"], {"value": "second time"}, "output")
    ensure("error" not in payload, "the old error is gone", payload)
    plain.call("POST", f"retry/{job}").error(400, "retry of a completed job")
    other = plain.run({"do": "sleep", "seconds": 30})
    plain.cancel(other)
    plain.call("POST", f"retry/{other}").error(400, "retry of a cancelled job")


@needs({"c10": sdk(), **PLAIN})
def check_10_health(bench):
    """`/health` has all 5 job and 6 worker counters as integers, at zero workers too."""
    client, raw = bench.client("c10"), bench.on("c10")

    def counters():
        body = client.health()
        for part, names in (("jobs", JOB_COUNTERS), ("workers", WORKER_COUNTERS)):
            ensure(names <= set(body[part]), f"all counters of {part}", body)
            numbers(body[part], *names)
        return body

    body = counters()
    equal({k: body["jobs"][k] for k in JOB_COUNTERS}, dict.fromkeys(JOB_COUNTERS, 0), "jobs of a new endpoint")
    equal({k: body["workers"][k] for k in WORKER_COUNTERS}, dict.fromkeys(WORKER_COUNTERS, 0), "workers of a new endpoint")
    done = raw.run({"do": "sleep", "seconds": 1.5})
    eventually(lambda: counters()["workers"]["initializing"] == 1, 5, "one worker initializing")
    eventually(lambda: counters()["workers"]["running"] == 1 and counters()["jobs"]["inProgress"] == 1, 30, "one running, one job in progress")
    raw.completed(done)
    raw.until(raw.run({"do": "raise", "message": "no"}), "FAILED", 20)
    body = counters()
    equal([body["jobs"][k] for k in ("completed", "failed", "inProgress", "inQueue", "retried")], [1, 1, 0, 0, 0], "jobs afterwards")
    eventually(lambda: (w := counters()["workers"])["running"] == 0 and w["ready"] == 1, 5, "the worker is ready again")


@needs({"c11": sdk("aggregate")})
def check_11_asyncio(bench):
    """asyncio Endpoint: run, status, output(timeout=30), stream, cancel, health, purge_queue."""
    import runpod
    from runpod.http_client import AsyncClientSession

    async def all_of_it():
        async with AsyncClientSession() as session:
            endpoint = runpod.AsyncioEndpoint("c11", session, api_key=bench.api.key)
            job = await endpoint.run({"chunks": ["a", "b", "c"], "gap": 0.3})
            ensure(await job.status() in ("IN_QUEUE", "IN_PROGRESS"), "state at first")
            equal([chunk async for chunk in job.stream()], ["a", "b", "c"], "chunks")
            equal(await job.output(timeout=30), ["a", "b", "c"], "output")
            equal(await job.status(), "COMPLETED", "state at the end")
            running = await endpoint.run({"chunks": ["a", "b"], "gaps": [0, 60]})
            while await running.status() != "IN_PROGRESS":
                await asyncio.sleep(0.1)
            queued = [await endpoint.run({"chunks": []}) for _ in range(2)]
            health = await endpoint.health()
            equal((health["jobs"]["inProgress"], health["jobs"]["inQueue"]), (1, 2), "jobs by health")
            equal(await endpoint.purge_queue(), {"removed": 2, "status": "completed"}, "purge_queue")
            cancelled(await running.cancel(), running.job_id)
            equal(await running.status(), "CANCELLED", "state of the cancelled job")
            return len(queued)

    asyncio.run(asyncio.wait_for(all_of_it(), 120))


@needs(PLAIN)
def check_12_any_input(bench):
    """Empty `{}` and non-object `input` reach the handler; missing `input` -> 400."""
    plain = bench.on("plain")
    for given in ({}, None, [], [1, {"a": 2}], "text", "", 0, -1.5e300, 12345678901234567890, True, False, {"unicode": "\u0000 \U0001f600"}):
        body = plain.runsync(given)
        equal(body["status"], "COMPLETED", f"state with input {given!r}")
        equal(body["output"]["got"], given, "input as the handler got it")
    extras = {"s3Config": {"accessId": "a", "accessSecret": "b"}, "somethingElse": [1]}
    job = plain.call("POST", "runsync", {"input": {}, **extras}).ok()["output"]["job"]
    equal({key: job.get(key) for key in extras}, extras, "other members reach the handler")
    for body in ({}, {"inputs": {}}, [], 5, None):
        plain.call("POST", "run", data=b"null" if body is None else None, body=body).error(400, f"run with {body!r}")
    for data in (b"", b"{", b'{"input": }', b"\xff\xfe", b'{"input": 1} x'):
        plain.call("POST", "run", data=data, headers={"Content-Type": "application/json"}).error(400, f"run with {data!r}")
    for policy in ({"ttl": "long"}, {"executionTimeout": -1}, 5):
        plain.call("POST", "run", {"input": {}, "policy": policy}).error(400, f"run with policy {policy!r}")


@needs({**PLAIN, **CHUNKS})
def check_13_keys(bench):
    """401 without key; both `Bearer key` and bare `key` accepted; 404 for unknown endpoint and job; error body has string `error`."""
    import runpod
    base, key = bench.gateway.base, bench.api.key
    paths = [("GET", "health"), ("POST", "run"), ("GET", "status/x"), ("GET", "stream/x"), ("POST", "cancel/x"), ("POST", "purge-queue"),
             ("GET", "openai/v1/models")]
    for method, path in paths:
        for head in (None, "", "Bearer", "Bearer ", "Bearer wrong", "wrong", key + "x", f"Basic {key}"):
            answer = Api(base, key).call(method, f"/v2/plain/{path}", {"input": 1} if path == "run" else None, headers={"Authorization": head})
            equal(answer.status, 401, f"{method} {path} with Authorization {head!r}: status")
            ensure(isinstance(answer.json["error"], (str, dict)), "a body with an error", answer.content)
    for head in (f"Bearer {key}", key, f"bearer {key}", f"BEARER   {key}"):
        answer = Api(base, key).call("GET", "/v2/plain/health", headers={"Authorization": head})
        equal(answer.status, 200, f"Authorization {head.replace(key, 'KEY')!r}: status")
    try:
        runpod.Endpoint("plain", api_key="wrong").health()
        ensure(False, "the client refuses a wrong key")
    except RuntimeError as error:
        ensure(str(error).startswith("401 Unauthorized"), "RuntimeError of the client", str(error))
    for method, path in paths:
        if "openai" not in path:
            bench.on("nobody").call(method, path, {"input": 1} if path == "run" else None).error(404, f"{path} of an unknown endpoint")
    for method, path in (("GET", "status"), ("GET", "stream"), ("POST", "cancel"), ("POST", "retry"), ("GET", "status-sync")):
        bench.on("plain").call(method, f"{path}/60902e6c-08a1-426e-9cb9-9eaec90f5e2b-u1").error(404, f"{path} of an unknown job")
    limited = bench.gateway.api("limited-key-of-the-checks")
    limited.on("chunks").call("GET", "health").ok("a key for this endpoint")
    for what, answer in (("a key for another endpoint", limited.on("plain").call("GET", "health")),
                         ("a worker key that submits", bench.gateway.api(WORKER_KEY).on("plain").call("POST", "run", {"input": 1})),
                         ("a client key that takes", bench.on("plain").call("GET", "job-take/thief?gpu=0", timeout=5)),
                         ("a client key that administers", bench.api.call("GET", "/admin/api/workers"))):
        ensure(answer.status in (401, 403, 404), f"{what} is refused", answer.status)


@needs({"c19": visitors(), **PLAIN})
def check_19_methods(bench):
    """Every success is HTTP 200; GET and POST work on status/status-sync/stream; empty POST bodies accepted."""
    waiting, plain = bench.on("c19"), bench.on("plain")
    job = waiting.run({"n": 1})
    json_type = {"Content-Type": "application/json"}
    for method in ("GET", "POST"):
        for path in (f"status/{job}", f"status-sync/{job}?wait=1000", f"stream/{job}?wait=1000", f"status/{job}?ttl=600000"):
            equal(waiting.call(method, path).ok(path)["status"], "IN_QUEUE", f"{method} {path}")
            equal(waiting.call(method, path, data=b"", headers=json_type).ok(path)["status"], "IN_QUEUE", f"{method} {path}, empty body")
    equal(waiting.call("GET", f"stream/{job}?wait=1000").ok()["stream"], [], "chunks of a job without")
    equal(waiting.call("POST", f"cancel/{job}", data=b"", headers=json_type).ok("cancel")["status"], "CANCELLED", "cancel")
    waiting.run({"n": 2})
    equal(waiting.call("POST", "purge-queue", data=b"", headers=json_type).ok("purge-queue")["removed"], 1, "removed")
    failed = plain.run({"do": "raise", "message": "on purpose"})
    plain.until(failed, "FAILED", 40)
    equal(plain.call("POST", f"retry/{failed}", data=b"", headers=json_type).ok("retry")["status"], "IN_QUEUE", "retry")
    equal(plain.runsync({"do": "raise", "message": "on purpose"})["status"], "FAILED", "runsync of a failing job is a 200 too")
    for path in ("health", "requests", "metrics"):
        answer = plain.call("GET", path)
        ensure(answer.status in (200, 404), f"GET {path} is there or not", answer.status)
