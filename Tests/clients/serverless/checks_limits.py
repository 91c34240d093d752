"""Checks 14 to 18, 20 and 21: sizes, times, webhooks, scaling."""
import threading
import time

from api import Failed, between, ensure, equal, eventually
from bench import PLAIN, needs, together
from gateway import UP, light, sdk, visitors

MIB = 1 << 20


def body_of(size, **input):
    """A request of exactly this many bytes."""
    head, tail = b'{"input":{"do":"length","text":"', b'"}}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


@needs({"c14": visitors(), **PLAIN})
def check_14_sizes(bench):
    """10 MB + 1 on `/run` -> 400, server stays responsive; 15 MB on `/runsync` accepted."""
    json_type = {"Content-Type": "application/json"}
    slowest, done = [0.0], threading.Event()

    def look():
        health = bench.fresh("c14")
        while not done.is_set():
            slowest[0] = max(slowest[0], health.call("GET", "health").seconds)
            time.sleep(0.02)

    def send():
        try:
            waiting = bench.on("c14")
            for size in (10 * MIB + 1, 12 * MIB, 10 * MIB + 1):
                waiting.call("POST", "run", data=body_of(size), headers=json_type).error(400, f"run with {size} bytes")
            job = waiting.call("POST", "run", data=body_of(10 * MIB), headers=json_type).ok("run with 10 MiB")["id"]
            waiting.cancel(job)
            waiting.call("POST", "runsync", data=body_of(20 * MIB + 1), headers=json_type).error(400, "runsync with 20 MiB + 1")
        finally:
            done.set()

    together(look, send)
    ensure(slowest[0] < 1, "/health answers within 1 s meanwhile", slowest[0])
    answer = bench.on("plain").call("POST", "runsync", data=body_of(15 * MIB), headers=json_type).ok("runsync with 15 MiB")
    equal(answer["status"], "COMPLETED", "state with 15 MiB")
    between(answer["output"]["length"], 15 * MIB - 100, 15 * MIB, "length that arrived")
    return f"slowest /health {slowest[0] * 1000:.0f} ms"


@needs({"c15": visitors(), "c15run": sdk()})
def check_15_ttl(bench):
    """`policy.ttl=10000` -> 404 after 10 s, in queue and while running."""
    def lives(raw, policy, input, needs_worker):
        if needs_worker:                                # a warm worker, so that it runs for most of the 10 s
            raw.completed(raw.run({"do": "echo"}))
        begin = time.monotonic()
        job = raw.run(input, policy=policy)
        if needs_worker:
            raw.until(job, "IN_PROGRESS", 5)
        time.sleep(max(0, begin + 8.5 - time.monotonic()))
        equal(raw.call("GET", f"status/{job}").status, 200, "status after 8.5 s")
        eventually(lambda: raw.call("GET", f"status/{job}").status == 404, 5, "404 after 10 s")
        between(time.monotonic() - begin, 9.8, 12.5, "seconds until the job is gone")
        for path in ("stream", "status-sync"):
            raw.call("GET", f"{path}/{job}").error(404, path)
        return job

    policy = {"ttl": 10000}
    _, running = together(lambda: lives(bench.fresh("c15"), policy, {}, False),
                          lambda: lives(bench.fresh("c15run"), policy, {"do": "sleep", "seconds": 60}, True))
    equal(bench.on("c15").health()["jobs"]["inQueue"], 0, "jobs in the queue afterwards")
    eventually(lambda: bench.records("c15run", "cancelled", job=running), 5, "the handler is interrupted")


@needs({"c16": sdk()}, quiet=True)
def check_16_execution_timeout(bench):
    """`policy.executionTimeout=5000` with a 60 s handler -> terminal at about 5 s with error; worker gets stop; `/retry` allowed."""
    raw = bench.on("c16")
    raw.completed(raw.run({"do": "echo"}))
    job = raw.run({"do": "sleep", "seconds": 60}, policy={"executionTimeout": 5000})
    raw.until(job, "IN_PROGRESS", 5)
    begin = time.monotonic()
    payload = raw.until(job, "TIMED_OUT", 10)
    between(time.monotonic() - begin, 4.5, 6.5, "seconds to the end")
    between(payload["executionTime"] / 1000, 5.0, 6.5, "executionTime")
    ensure(isinstance(payload.get("error"), str) and payload["error"], "an error text", payload)
    eventually(lambda: bench.records("c16", "cancelled", job=job), 3, "the handler is interrupted")
    equal(raw.call("POST", f"retry/{job}").ok("retry"), {"id": job, "status": "IN_QUEUE"}, "answer to retry")
    raw.until(job, "IN_PROGRESS", 20)
    equal(len(eventually(lambda: len(r := bench.records("c16", "start", job=job)) == 2 and r, 5, "the handler starts again")), 2, "starts")
    equal(raw.cancel(job)["status"], "CANCELLED", "cancel")
    return payload["error"]


@needs({"c17": sdk(concurrency=4, allowPrivateWebhooks=True), "c17closed": sdk()})
def check_17_webhook(bench):
    """Webhook gets id, status, output, input; failing receiver is tried 3 times, 10 s apart; FAILED jobs notify too."""
    raw, receiver = bench.on("c17"), bench.receiver
    given = {"do": "return", "value": {"v": "é"}}
    job = raw.run(given, webhook=receiver.url("good"))
    failing = raw.run(given, webhook=receiver.url("bad", 500))
    broken = raw.run({"do": "raise", "message": "on purpose"}, webhook=receiver.url("failed"))
    sync = raw.runsync(given, webhook=receiver.url("sync", 204))
    closed = bench.on("c17closed")
    refused = closed.call("POST", "run", {"input": given, "webhook": receiver.url("closed")})
    if refused.status == 200:
        closed.completed(refused.json["id"])
    else:
        refused.error(400, "a private webhook where they are not allowed")
    (_, body), = eventually(lambda: receiver.of("good"), 40, "the webhook comes")
    status = raw.status(job)
    equal({key: body.get(key) for key in ("id", "status", "output", "input", "webhook")},
          {"id": job, "status": "COMPLETED", "output": {"v": "é"}, "input": given, "webhook": receiver.url("good")}, "webhook of a completed job")
    equal({key: body.get(key) for key in ("delayTime", "executionTime")}, {key: status[key] for key in ("delayTime", "executionTime")}, "times")
    (_, body), = eventually(lambda: receiver.of("failed"), 20, "the webhook of the failed job comes")
    equal((body["id"], body["status"]), (broken, "FAILED"), "webhook of a failed job")
    ensure("on purpose" in body["error"], "its error", body)
    eventually(lambda: len(receiver.of("sync")) == 1, 10, "the webhook of /runsync comes")
    tries = eventually(lambda: len(r := receiver.of("bad")) == 3 and r, 40, "three tries", every=0.2)
    equal({body["id"] for _, body in tries}, {failing}, "job of the tries")
    pauses = [later[0] - earlier[0] for earlier, later in zip(tries, tries[1:])]
    for pause in pauses:
        between(pause, 9, 12, "seconds between two tries")
    time.sleep(12)
    equal(len(receiver.of("bad")), 3, "tries after another 12 s")
    for name in ("good", "failed", "sync"):
        equal(len(receiver.of(name)), 1, f"posts to '{name}'")
    equal(receiver.of("closed"), [], "posts to a private address where they are not allowed")
    ensure(sync["status"] == "COMPLETED", "runsync", sync)
    return f"pauses {', '.join(f'{p:.1f}' for p in pauses)} s"


@needs({"c18": light()})
def check_18_low_priority(bench):
    """`lowPriority` job alone does not start a worker; it runs once another job has."""
    raw = bench.on("c18")
    low = raw.run({"n": 1}, policy={"lowPriority": True})
    limit = time.monotonic() + 6
    while time.monotonic() < limit:
        equal(bench.gateway.workers("c18"), [], "workers for a job of low priority")
        time.sleep(0.2)
    equal(raw.state(low), "IN_QUEUE", "state after 6 s")
    normal = raw.run({"n": 2})
    raw.completed(normal, 20)
    raw.completed(low, 20)


@needs({"c20": sdk(idleTimeout=1)})
def check_20_cycles(bench):
    """Scale 0 -> 1 on first job, back to 0 after idleTimeout; second job restarts; no job lost in 100 cycles."""
    raw, names, cycles = bench.on("c20"), set(), bench.options.cycles
    for cycle in range(cycles):
        equal(bench.gateway.workers("c20"), [], f"workers before cycle {cycle}")
        job = raw.run({"do": "sleep", "seconds": 0.05, "value": cycle})
        payload = raw.completed(job, 40)
        equal(payload["output"]["value"], cycle, "output")
        names.add(payload["workerId"])
        done = time.monotonic()
        pid = bench.gateway.worker_pid("c20")
        eventually(lambda: not bench.gateway.workers("c20"), 20, "no worker left")
        idle = time.monotonic() - done
        between(idle, 0.7, 8, "seconds until the worker is stopped (idleTimeout 1)")
        equal(sum(raw.health()["workers"].values()), 0, "workers by /health")
        ensure(pid is None or not bench.gateway.worker_pid("c20"), "its process is gone", pid)
    equal(len(names), cycles, "each cycle had its own worker")
    jobs = raw.health()["jobs"]
    equal([jobs[k] for k in ("completed", "failed", "inQueue", "inProgress", "retried")], [cycles, 0, 0, 0, 0], "jobs")
    return f"{cycles} cycles"


@needs({"c21": light(workersMax=8, scalerValue=3, idleTimeout=1), "c21max": light(workersMax=2, scalerValue=3),
        "c21delay": light(workersMax=3, scalerType="QUEUE_DELAY", scalerValue=4)})
def check_21_scaling(bench):
    """REQUEST_COUNT: 10 queued, scalerValue 3 -> 4 workers (capped by max); QUEUE_DELAY adds only after the delay."""
    def most(name, jobs, seconds):
        raw, count = bench.fresh(name), 0
        begin = time.monotonic()
        ids = [raw.run({"seconds": 3}) for _ in range(jobs)]
        while time.monotonic() - begin < seconds:
            count = max(count, len(bench.gateway.workers(name)))
            time.sleep(0.1)
        for job in ids:
            raw.completed(job, 60)
        return count

    def delayed():
        raw, begin = bench.fresh("c21delay"), time.monotonic()
        first = raw.run({"seconds": 9})
        raw.until(first, "IN_PROGRESS", 4)              # from zero: at once, not after the delay
        queued = time.monotonic()
        second = raw.run({"seconds": 0})
        while len(bench.gateway.workers("c21delay")) < 2:
            if time.monotonic() - queued > 9:
                raise Failed("no second worker within 9 s of waiting")
            time.sleep(0.1)
        waited = time.monotonic() - queued
        between(waited, 3.5, 7, "seconds until a second worker is added (scalerValue 4)")
        raw.completed(second, 10)
        raw.completed(first, 20)
        return queued - begin, waited

    four, two, (first, waited) = together(lambda: most("c21", 10, 5), lambda: most("c21max", 10, 5), delayed)
    equal(four, 4, "workers for 10 jobs, 3 each")
    equal(two, 2, "workers where workersMax is 2")
    eventually(lambda: not bench.gateway.workers("c21"), 15, "all are stopped again")
    ensure(all(w["state"] not in UP for w in bench.gateway.workers("c21", up=False)), "none is listed as up")
    return f"first after {first:.1f} s, second after {waited:.1f} s"
