"""Checks 22 to 32: the published SDK's worker against the gateway."""
import json
import re
import signal
import time

import requests

import processes
from api import between, ensure, equal, eventually
from bench import CHUNKS, PLAIN, needs
from gateway import WORKER_KEY, sdk, visitors

TAKES = ("job-take", "job-take-batch")


@needs({"c22": sdk(workersMin=1, proxied=True, pingIntervalMs=10000)})
def check_22_polls(bench):
    """204 only after the hold; idle worker makes fewer than 6 polls a minute; 429 slows it; no busy loop."""
    eventually(lambda: bench.proxy.seen("c22", *TAKES), 40, "the first take")
    first, span = len(bench.proxy.seen("c22")), 60
    time.sleep(span)
    seen = bench.proxy.seen("c22")[first:]
    for operations, limit in ((TAKES, 6), (("job-stop",), 6), (("ping",), 8)):
        count = sum(p.operation in operations for p in seen)
        ensure(count < limit, f"fewer than {limit} {operations[0]} in {span} s", count)
    empty = [p for p in bench.proxy.seen("c22", *TAKES) if p.status]
    ensure(empty, "a held take was answered in that time")
    for take in empty:
        equal(take.status, 204, "answer to a take without a job")
        between(take.ended - take.began, 15, 60, "seconds that a take is held")
    # 429, as a gateway may say when it has had enough: the SDK waits for 5 s, and is there again afterwards.
    until = time.time() + 9
    bench.proxy.rule(lambda p: (429, b"{}") if p.endpoint == "c22" and p.operation in TAKES and time.time() < until else None)
    raw = bench.on("c22")
    raw.completed(raw.run({"do": "echo"}), 30)          # ends the held take, so that the next one meets the rule
    raw.completed(raw.run({"do": "echo"}), 30)
    slowed = [p for p in bench.proxy.seen("c22", *TAKES) if p.status == 429]
    between(len(slowed), 1, 3, "takes in 9 s of 429")
    return f"{len(empty)} takes held for {min(p.ended - p.began for p in empty):.0f} s or more"


@needs({"c23": sdk(concurrency=4, proxied=True)})
def check_23_concurrency(bench):
    """`concurrency_modifier` = 4: four jobs run at once, batch take used, never more than 4."""
    raw = bench.on("c23")
    jobs = [raw.run({"do": "sleep", "seconds": 2}) for _ in range(10)]
    payloads = [raw.completed(job, 60) for job in jobs]
    equal(max(p["output"]["most"] for p in payloads), 4, "most jobs at once, as the handler counted")
    equal(len({p["workerId"] for p in payloads}), 1, "workers")
    batches = bench.proxy.seen("c23", "job-take-batch")
    ensure(batches, "takes by the batch URL")
    for take in batches:
        if take.status == 200:
            given = json.loads(take.answer)
            count = len(given) if isinstance(given, list) else 1
            ensure(count <= int(take.query["batch_size"]), "no more jobs than asked for", (count, take.query))
    given = [json.loads(t.answer) for t in batches if t.status == 200]
    ensure(any(isinstance(g, list) and len(g) > 1 for g in given), "a take that brought several jobs", [len(g) for g in given])
    starts = sorted(line["at"] for line in bench.records("c23", "start"))
    between(starts[3] - starts[0], 0, 1.5, "seconds between the first and the fourth start")


@needs(PLAIN)
def check_24_raise(bench):
    """Handler raising -> FAILED, `error` parses as JSON with error_type, error_message, error_traceback, worker_id."""
    plain = bench.on("plain")
    body = plain.runsync({"do": "raise", "message": "quoted \"é\"\n✓"})
    equal(body["status"], "FAILED", "state")
    ensure(isinstance(body["error"], str), "error is a text", body)
    error = json.loads(body["error"])
    equal((error["error_type"], error["error_message"]), ("<class 'ValueError'>", "quoted \"é\"\n✓"), "error")
    ensure("do_raise" in error["error_traceback"], "traceback", error)
    equal(error["worker_id"], body["workerId"], "worker_id")
    equal(error["runpod_version"], "1.12.0", "runpod_version")
    ensure("output" not in body, "no output", body)
    equal(bench.client("plain").run_sync({"do": "raise", "message": "x"}), None, "run_sync of the client")


@needs(PLAIN)
def check_25_error_value(bench):
    """Handler returning `{"error": {"code": 7}}` -> FAILED with string error; `{"error": ""}` -> COMPLETED."""
    plain = bench.on("plain")

    def returned(value):
        body = plain.runsync({"do": "return", "value": value})
        return body["status"], body.get("error"), body.get("output")

    state, error, output = returned({"error": {"code": 7}})
    equal((state, type(error), output), ("FAILED", str, None), "state, error, output")
    equal(json.loads(error), {"code": 7}, "the error as JSON")
    equal(returned({"error": "plain words", "more": 1}), ("FAILED", "plain words", {"more": 1}), "error with output")
    equal(json.loads(returned({"error": [1, 2]})[1]), [1, 2], "an error that is a list")
    equal(returned({"error": ""}), ("COMPLETED", None, None), "an empty error")
    equal(returned({"error": "", "more": 1}), ("COMPLETED", None, {"more": 1}), "an empty error with output")
    equal(returned({}), ("COMPLETED", None, None), "an empty object")
    for value in ([], "", 0, False, None, [{"error": "inside"}]):
        equal(returned(value), ("COMPLETED", None, value), f"returning {value!r}")


@needs({"c26": sdk("aggregate"), "c26blocking": sdk("blocking_chunks"), **CHUNKS})
def check_26_generators(bench):
    """Generator with and without aggregate -> chunks on `/stream`, list or `[]` in output; exception mid-stream -> chunks kept, FAILED."""
    chunks = ["a", {"b": 1}, ["c"]]
    for name, output in (("chunks", []), ("c26", chunks), ("c26blocking", [])):
        raw = bench.on(name)
        job = raw.run({"chunks": chunks, "gap": 0.1})
        equal(raw.drained(job), (chunks, "COMPLETED"), f"{name}: stream")
        equal(raw.status(job).get("output"), output, f"{name}: output")
    raw = bench.on("chunks")
    job = raw.run({"chunks": chunks, "gap": 0.1, "fail_at": 2})
    payload = raw.until(job, "FAILED", 30)
    ensure(payload["error"].startswith("handler: broken in mid-stream"), "error", payload)
    equal(raw.drained(job), (chunks[:2], "FAILED"), "chunks before the exception")
    # Asked for while it runs, too: the end comes after the chunks.
    job = raw.run({"chunks": chunks, "gap": 0.5, "fail_at": 2})
    equal(raw.drained(job), (chunks[:2], "FAILED"), "chunks read along")
    job = raw.run({"chunks": ["a", {"error": {"message": "it's over", "code": None}}, "never"], "gap": 0.1})
    payload = raw.until(job, "FAILED", 30)
    ensure(isinstance(payload["error"], str) and "it's over" in payload["error"], "error of a chunk that is an error", payload)
    equal(raw.drained(job), (["a"], "FAILED"), "chunks before it")
    return payload["error"]


@needs(PLAIN)
def check_27_progress(bench):
    """Progress updates show as output while IN_PROGRESS; a progress post after done changes nothing."""
    plain = bench.on("plain")
    job = plain.run({"do": "progress", "values": ["a quarter", {"percent": 50}], "seconds": 1.5, "late": "too late"})
    for value in ("a quarter", {"percent": 50}):
        eventually(lambda: (s := plain.status(job))["status"] == "IN_PROGRESS" and s.get("output") == value, 30, f"progress {value!r}")
    equal(plain.completed(job)["output"], {"value": "final"}, "output")
    eventually(lambda: bench.records("plain", "late", job=job), 10, "the late progress update is sent")
    time.sleep(1)
    payload = plain.status(job)
    equal((payload["status"], payload["output"]), ("COMPLETED", {"value": "final"}), "after a late progress update")


@needs({"c28": sdk(proxied=True, idleTimeout=2), "c28all": sdk(env={"REFRESH_WORKER": "1"}, idleTimeout=2)})
def check_28_refresh_worker(bench):
    """`refresh_worker` returned -> next job runs on a new worker id; no job dropped."""
    for name, input in (("c28", {"do": "refresh"}), ("c28all", {"do": "sleep", "seconds": 0.1})):
        raw = bench.on(name)
        jobs = [raw.run(input) for _ in range(4)]
        payloads = [raw.completed(job, 90) for job in jobs]
        equal(len({p["workerId"] for p in payloads}), 4, f"{name}: workers of four jobs")
        for payload in payloads:
            ensure(not {"stopPod", "refresh_worker"} & (set(payload) | set(payload["output"])), f"{name}: clients see nothing of it", payload)
            ensure(not payload.get("retries"), f"{name}: no job was lost on the way", payload)
            equal(payload["output"]["worker"], payload["workerId"], f"{name}: workerId")
        for kind in ("start", "end"):
            equal(sorted(line["job"] for line in bench.records(name, kind)), sorted(jobs), f"{name}: each job ran once ({kind})")
        eventually(lambda: not bench.gateway.workers(name), 60, f"{name}: all workers are stopped")
    takes = bench.proxy.seen("c28", *TAKES)
    most = max(sum(p.worker == w for p in takes) for w in {p.worker for p in takes})
    ensure(most <= 12, "a worker that is to go does not poll in a busy loop", most)
    return f"at most {most} takes a worker"


@needs({"c29": sdk(pingIntervalMs=2000)})
def check_29_kill(bench):
    """`kill -9` of the worker mid-job -> requeued once with `retries:1`; the second kill -> FAILED with reason."""
    raw, gateway = bench.on("c29"), bench.gateway
    job = raw.run({"do": "sleep", "seconds": 120})
    first = raw.until(job, "IN_PROGRESS", 40)
    ensure("retries" not in first, "no retries at first", first)
    killed = eventually(lambda: gateway.worker_pid("c29", first["workerId"]), 5, "the worker's process")
    children = [pid for pid in processes.marked("RUNPOD_POD_ID", first["workerId"])]
    ensure(killed in children, "the handle names the worker's process", (killed, children))
    processes.kill(killed)
    second = eventually(lambda: (p := raw.status(job)).get("retries") == 1 and p, 10, "requeued with retries 1")
    second = eventually(lambda: (p := raw.status(job))["status"] == "IN_PROGRESS" and p, 40, "in progress again")
    equal(second.get("retries"), 1, "retries")
    ensure(second["workerId"] != first["workerId"], "another worker")
    equal(processes.gone(children, 10), [], "processes left of the first worker (the SDK's ping process outlives a kill -9)")
    processes.kill(eventually(lambda: gateway.worker_pid("c29", second["workerId"]), 5, "the second worker's process"))
    failed = raw.until(job, "FAILED", 20)
    ensure(re.match(r"job timed out after 1 retries: .*(signal 9|SIGKILL)", failed["error"], re.S), "error with the reason", failed)
    counters = raw.health()["jobs"]
    equal((counters["failed"], counters["inQueue"], counters["inProgress"]), (1, 0, 0), "jobs")
    ensure(counters["retried"] >= 1, "retried is counted", counters)
    return failed["error"]


@needs({"c30": sdk(concurrency=4, workersMax=2, scalerValue=4, pingIntervalMs=1000),
        "c30roll": sdk(concurrency=4, workersMax=2, scalerValue=4, pingIntervalMs=1000)})
def check_30_sigterm(bench):
    """SIGTERM of a worker under load (100 jobs) -> no job lost, none run twice to completion."""
    gateway = bench.gateway

    def load(name, disturb):
        raw = bench.on(name)
        jobs = [raw.run({"do": "sleep", "seconds": 0.4, "value": n}) for n in range(100)]
        eventually(lambda: len(bench.records(name, "end")) >= 20, 60, f"{name}: 20 jobs are done")
        disturb()
        for number, job in enumerate(jobs):
            equal(raw.completed(job, 150)["output"]["value"], number, f"{name}: output of job {number}")
        ends = [line["job"] for line in bench.records(name, "end")]
        equal(sorted(ends), sorted(jobs), f"{name}: each job was completed once by a handler")
        counters = raw.health()["jobs"]
        equal((counters["completed"], counters["failed"]), (100, 0), f"{name}: jobs")
        return counters["retried"]

    def terminate():
        workers = eventually(lambda: [w for w in gateway.workers("c30") if w["jobs"]], 10, "a busy worker")
        processes.kill(int(workers[0]["handle"].split(":")[0]), signal.SIGTERM)

    def roll():
        before = {w["id"] for w in gateway.workers("c30roll")}
        gateway.config["endpoints"]["c30roll"]["provider"]["process"]["env"]["VERSION"] = "2"
        gateway.write()
        gateway.admin("POST", "reload").ok("reload of a changed definition")
        eventually(lambda: {w["id"] for w in gateway.workers("c30roll")} - before, 60, "a worker of the new version")

    begin = time.monotonic()
    retried = load("c30", terminate)
    seconds = time.monotonic() - begin
    # The gateway's own way to the same: a new version of the endpoint replaces its workers under load.
    rolled = load("c30roll", roll)
    equal(rolled, 0, "jobs that were lost on the way when the gateway replaced its workers")
    return f"{seconds:.0f} s, {retried} jobs handed out again"


@needs({"c31": sdk(proxied=True, allowPrivateWebhooks=True), "c31late": sdk("blocking"), "c31own": visitors(), **PLAIN})
def check_31_done(bench):
    """done answered 503 twice, then 200 -> single result; repeated done is idempotent; late done after CANCELLED ignored."""
    raw, tries = bench.on("c31"), []

    def rule(p):
        if p.endpoint == "c31" and p.operation == "job-done":
            tries.append(p)
            # The gateway never hears of the first post and has taken the second: to the worker both are a 503.
            return {1: (503, b"{}"), 2: (503, None)}.get(len(tries))

    bench.proxy.rule(rule)
    job = raw.run({"do": "sleep", "seconds": 0.2, "value": 5}, webhook=bench.receiver.url("c31"))
    payload = raw.completed(job, 60)
    equal(payload["output"]["value"], 5, "output")
    eventually(lambda: len(tries) == 3 and tries[2].status, 20, "the worker posts three times")
    equal(tries[2].status, 200, "answer to a done that had been taken before")
    equal(raw.status(job), payload, "status after the repeated done")
    equal(raw.health()["jobs"]["completed"], 1, "completed jobs")
    eventually(lambda: bench.receiver.of("c31"), 10, "the webhook comes")
    equal(len(bench.receiver.of("c31")), 1, "webhooks")

    late = bench.on("c31late")
    blocked = late.run({"seconds": 4})
    late.until(blocked, "IN_PROGRESS", 40)
    late.cancel(blocked)
    eventually(lambda: bench.records("c31late", "end", job=blocked) or not bench.gateway.workers("c31late"), 20, "the handler ends, or its worker is ended")
    time.sleep(1)
    payload = late.status(blocked)
    equal((payload["status"], "output" in payload), ("CANCELLED", False), "state after a late done")
    scripted_worker(bench)


def scripted_worker(bench):
    """Posts that come twice, late, or for nobody, by hand: the worker is this script."""
    raw, base = bench.on("c31own"), f"{bench.gateway.base}/v2/c31own"

    def call(method, path, body=None):
        return requests.request(method, f"{base}/{path}", data=body, headers={"Authorization": WORKER_KEY}, timeout=60)

    def take(worker="scripted"):
        answer = call("GET", f"job-take/{worker}?gpu=0&job_in_progress=0")
        equal(answer.status_code, 200, "take")
        return answer.json()["id"]

    def done(job, body, worker="scripted", stream="false"):
        return call("POST", f"job-done/{worker}/{job}?gpu=0&isStream={stream}", json.dumps(body)).status_code

    job = raw.run({"n": 1})
    equal(take(), job, "job taken")
    equal([done(job, {"output": n}) for n in (1, 2, 1)], [200] * 3, "answers to three dones")
    equal(raw.status(job)["output"], 1, "the first result stays")
    equal(done(job, {"error": "late"}), 200, "answer to a late error")
    equal(done(job, {"status": "IN_PROGRESS", "output": "late"}), 200, "answer to late progress")
    equal((raw.status(job)["status"], raw.status(job)["output"]), ("COMPLETED", 1), "state and output after late posts")
    equal(done("60902e6c-08a1-426e-9cb9-9eaec90f5e2b-u1", {"output": 1}), 200, "done for a job that nobody knows")
    cancelled = raw.run({"n": 2})
    equal(take(), cancelled, "job taken")
    raw.cancel(cancelled)
    equal(done(cancelled, {"output": 1}), 200, "done after cancel")
    equal(raw.state(cancelled), "CANCELLED", "state")
    stolen = raw.run({"n": 3})
    equal(take(), stolen, "job taken")
    done(stolen, {"output": "not mine"}, worker="thief")
    equal(raw.state(stolen), "IN_PROGRESS", "another worker's done changes nothing")
    # What worker-side limits let through: an oversized result ends the job with a reason instead of being refused.
    equal(done(stolen, {"output": "x" * (21 << 20)}), 200, "answer to an oversized result")
    payload = raw.until(stolen, "FAILED", 5)
    ensure("size" in payload["error"] or "large" in payload["error"] or "bytes" in payload["error"], "error of an oversized result", payload["error"])


@needs({"c32": sdk(proxied=True, pingIntervalMs=1000), "c32unfit": sdk(env={"FITNESS": "the licence is at home"}, maxQuickExits=2),
        "c32network": sdk(env={"RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "false", "RUNPOD_NETWORK_CHECK_TIMEOUT": "0", "RUNPOD_MIN_MEMORY_GB": "0.01",
                               "RUNPOD_MIN_DISK_PERCENT": "0"}, maxQuickExits=2),
        "c32isolated": sdk(env={"RUNPOD_NETWORK_CHECK_TIMEOUT": "0", "RUNPOD_MIN_MEMORY_GB": "100000"})})
def check_32_pings(bench):
    """Pings with and without `job_id`; failed fitness check shows check and reason; isolated network works with skip variable."""
    raw = bench.on("c32")
    jobs = [raw.run({"do": "sleep", "seconds": 4})]
    raw.completed(jobs[0], 60)
    eventually(lambda: "job_id" not in bench.proxy.seen("c32", "ping")[-1].query, 5, "a ping without job_id")
    pings = bench.proxy.seen("c32", "ping")
    ensure(any(p.query.get("job_id") == jobs[0] for p in pings), "a ping with job_id", [p.query for p in pings][-5:])
    equal({p.status for p in pings if p.status}, {200}, "answers to pings")
    equal(raw.health()["jobs"]["retried"], 0, "jobs taken as lost")

    def failure(name, *words):
        endpoint = bench.on(name)
        job = endpoint.run({"do": "echo"})
        payload = endpoint.until(job, "FAILED", 60)
        for word in words:
            ensure(word in payload["error"], f"{name}: the waiting job's error names {word!r}", payload)
        with open(bench.gateway.log_path, errors="replace") as log:
            lines = [line for line in log if f"endpoint={name}" in line]
        ensure(any(all(word in line for word in words) for line in lines), f"{name}: the gateway's log names {words}", lines[-5:])
        equal(sum("worker started" in line for line in lines), 2, f"{name}: workers that were tried (maxQuickExits 2)")
        return payload["error"]

    reason = failure("c32unfit", "check_of_the_licence", "the licence is at home")
    # A timeout of 0 is a network without a way out; the gateway sets the skip variable unless the endpoint has another wish.
    failure("c32network", "network")
    isolated = bench.on("c32isolated")
    isolated.completed(isolated.run({"do": "echo"}), 60)
    return reason
