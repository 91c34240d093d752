#!/usr/bin/env python3
"""How many short jobs a second a gateway accepts durably, and how many make the whole way with simulated workers.

    intake.py --binary .build/release/needletail [--store sqlite|postgres|both] [--seconds 10] [--connections 64,128] [--cycle-jobs 20000]

Intake: POST /run on kept connections, with wrk where it is installed (apt-get install wrk), else with a client of this script in one process. The
same client against GET /ping shows what it can do at all. Afterwards the queue must hold every job that was answered with 200.
Whole cycle: clients submit, workers take batches by the raw protocol and post each result; every job must be given out once and be COMPLETED.
"""
import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import measuring
from gateway import CLIENT_KEY, WORKER_KEY, Gateway, visitors
from postgres import Cluster
from rawhttp import Connection, request, run

POSTERS = 8     # connections on which a simulated worker posts results
BODY = json.dumps({"input": {"prompt": "The river ran down from the hills to the sea.", "sampling_params": {"max_tokens": 16}}}).encode()
SCRIPT = """
wrk.method = "METHOD"
wrk.headers["Authorization"] = "Bearer KEY"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[BODY]==]
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) ok, bad = 0, 0 end
function response(status) if status == 200 then ok = ok + 1 else bad = bad + 1 end end
function done(summary, latency, requests)
  local ok, bad = 0, 0
  for _, thread in ipairs(threads) do ok, bad = ok + thread:get("ok"), bad + thread:get("bad") end
  io.write(string.format("RESULT %d %d %.6f %.3f %.3f\\n", ok, bad, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def by_wrk(port, method, path, connections, seconds):
    """(answers of 200, others, seconds, p50 ms, p99 ms)"""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.replace("METHOD", method).replace("KEY", CLIENT_KEY).replace("BODY", BODY.decode() if method == "POST" else ""))
        script.flush()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", script.name, f"http://127.0.0.1:{port}{path}"],
                              capture_output=True, text=True)
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", done.stdout)
    if not found:
        raise SystemExit(f"wrk: {done.stdout}{done.stderr}")
    ok, bad, *rest = found.groups()
    return int(ok), int(bad), *map(float, rest)


def by_python(port, method, path, connections, seconds):
    payload, times, counts = request(method, path, CLIENT_KEY, BODY if method == "POST" else b""), [], {True: 0, False: 0}

    async def client(deadline):
        connection = await Connection.open(port)
        while (begin := time.perf_counter()) < deadline:
            status, _ = await connection.exchange(payload)
            times.append(time.perf_counter() - begin)
            counts[status == 200] += 1
        connection.close()

    async def all_of_them():
        deadline = time.perf_counter() + seconds
        await asyncio.gather(*(client(deadline) for _ in range(connections)))

    begin = time.perf_counter()
    run(all_of_them())
    wall = time.perf_counter() - begin
    return counts[True], counts[False], wall, 1000 * measuring.quantile(times, 0.5), 1000 * measuring.quantile(times, 0.99)


def intake(options, gateway, store, name):
    load = by_wrk if options.wrk else by_python
    raw, rates = gateway.api().on(name), []
    for connections in options.connections:
        ok, _, wall, p50, p99 = load(gateway.port, "GET", "/ping", connections, 3)
        print(f"{store:9} {connections:4} connections  client's ceiling (GET /ping): {ok / wall:9.0f}/s  p50 {p50:.2f} ms  p99 {p99:.2f} ms")
        before = raw.health()["jobs"]["inQueue"]
        processor = measuring.Processor(gateway=gateway.process.pid, **({"postgres": gateway.cluster.pids} if gateway.cluster else {}))
        begin = time.perf_counter()
        ok, bad, wall, p50, p99 = load(gateway.port, "POST", f"/v2/{name}/run", connections, options.seconds)
        used = processor.since(time.perf_counter() - begin)
        queued = settled(raw) - before
        fine = bad == 0 and ok <= queued <= ok + connections
        print(f"{store:9} {connections:4} connections  accepted durably:            {ok / wall:9.0f}/s  p50 {p50:.2f} ms  p99 {p99:.2f} ms; "
              f"{measuring.percent(used)}; {ok} answered, {queued} in the queue{'' if fine else f', {bad} REFUSED OR LOST'}", flush=True)
        if not fine:
            options.failed += 1
        begin = time.perf_counter()
        raw.call("POST", "purge-queue", timeout=300).ok("purge-queue")
        print(f"{'':9} purged {queued} jobs in {time.perf_counter() - begin:.1f} s")
        rates.append(ok / wall)
    if min(rates) < rates[0] / 4:
        print(f"{store:9} SLOWER AND SLOWER: what was purged before weighs on what comes after")
        options.failed += 1


def settled(raw):
    """Jobs in the queue, once what was on its way has arrived."""
    last = -1
    while (now := raw.health()["jobs"]["inQueue"]) != last:
        last = now
        time.sleep(0.3)
    return now


async def cycle(options, port, name):
    """Submits jobs and works them off at the same time."""
    left, taken, twice, path = options.cycle_jobs, set(), [], f"/v2/{name}"
    submit = request("POST", f"{path}/run", CLIENT_KEY, BODY)
    result = b'{"output": {"text": "and the sea ran back"}}'

    async def client():
        nonlocal left
        connection = await Connection.open(port)
        while left > 0:
            left -= 1
            status, body = await connection.exchange(submit)
            if status != 200:
                raise SystemExit(f"run: HTTP {status}: {body[:200]}")
        connection.close()

    async def poster(worker, jobs):
        connection = await Connection.open(port)
        while (job := await jobs.get()) is not None:
            status, body = await connection.exchange(
                request("POST", f"{path}/job-done/{worker}/{job}?gpu=0&isStream=false", WORKER_KEY, result, "application/x-www-form-urlencoded"))
            if status != 200:
                raise SystemExit(f"job-done: HTTP {status}: {body[:200]}")
        connection.close()

    async def taker(me, jobs):
        connection = await Connection.open(port)
        take = request("GET", f"{path}/job-take-batch/{me}?gpu=0&batch_size=32&job_in_progress=1", WORKER_KEY)
        while True:
            status, body = await connection.exchange(take)
            if status == 200:
                for job in json.loads(body):
                    if job["id"] in taken:
                        twice.append(job["id"])
                    await jobs.put(job["id"])
                    taken.add(job["id"])        # not before: the takers end with the last one

    takers, posters, queues = [], [], []
    for number in range(4):
        me, jobs = f"simulated{number}", asyncio.Queue(maxsize=64)
        queues.append(jobs)
        takers.append(asyncio.create_task(taker(me, jobs)))
        posters += [asyncio.create_task(poster(me, jobs)) for _ in range(POSTERS)]
    clients = [asyncio.create_task(client()) for _ in range(options.connections[0])]
    while len(taken) < options.cycle_jobs:
        await asyncio.sleep(0.01)
        for task in (*takers, *posters, *clients):
            if task.done() and task.exception():
                raise task.exception()
    for task in takers:                                 # they hold polls that nobody answers any more
        task.cancel()
    for jobs in queues:
        for _ in range(POSTERS):
            await jobs.put(None)
    await asyncio.gather(*posters, *clients)
    return twice


def whole_cycle(options, gateway, store, name):
    raw = gateway.api().on(name)
    processor = measuring.Processor(gateway=gateway.process.pid, **({"postgres": gateway.cluster.pids} if gateway.cluster else {}))
    begin = time.perf_counter()
    twice = run(cycle(options, gateway.port, name))
    limit = time.perf_counter() + 60
    while raw.health()["jobs"]["completed"] < options.cycle_jobs and time.perf_counter() < limit:
        time.sleep(0.02)
    wall = time.perf_counter() - begin
    used, jobs = processor.since(wall), raw.health()["jobs"]
    fine = jobs["completed"] == options.cycle_jobs and not (jobs["failed"] or jobs["inQueue"] or jobs["inProgress"] or jobs["retried"] or twice)
    print(f"{store:9} whole cycle: {options.cycle_jobs} jobs in {wall:.1f} s, {options.cycle_jobs / wall:.0f}/s (client and workers are one Python process); "
          f"{measuring.percent(used)}; {jobs}{'' if fine else f' NOT ALL COMPLETED, OR GIVEN OUT TWICE ({len(twice)})'}", flush=True)
    options.failed += not fine


def measure(options, store):
    cluster = Cluster().start() if store == "postgres" else None
    settings = {"maxQueuedJobs": 100_000_000}
    gateway = Gateway(options.binary, {"intake": visitors(**settings), "cycle": visitors(**settings)}, store=cluster and cluster.url, rateLimits=False)
    gateway.cluster = cluster
    try:
        gateway.start()
        intake(options, gateway, store, "intake")
        whole_cycle(options, gateway, store, "cycle")
    finally:
        gateway.stop()
        gateway.sweep()
        gateway.remove()
        if cluster:
            cluster.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", default="64,128")
    parser.add_argument("--cycle-jobs", type=int, default=20_000)
    parser.add_argument("--python", action="store_true", help="this script's client although wrk is there")
    options = parser.parse_args()
    options.connections = [int(n) for n in options.connections.split(",")]
    options.wrk, options.failed = bool(shutil.which("wrk")) and not options.python, 0
    print(f"{measuring.hardware()}; client: {'wrk, 1 thread' if options.wrk else 'Python, 1 process'}; files on {os.path.realpath(tempfile.gettempdir())}")
    for store in (["sqlite", "postgres"] if options.store == "both" else [options.store]):
        measure(options, store)
    sys.exit(1 if options.failed else 0)


if __name__ == "__main__":
    main()
