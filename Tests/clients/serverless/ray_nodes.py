#!/usr/bin/env python3
"""Workers on a Ray cluster of two nodes; one node dies, and its jobs finish on the other.

    ray_nodes.py --binary .build/release/needletail [--model PATH] [--ray-python PYTHON] [--jobs 12]

Needs a Python with ray[default] (--ray-python), which runs Tests/clients/ray_cluster.py: two nodes of one CPU each on loopback, a worker takes one
CPU. Texts are greedy and recorded before; one line a step, then 'N passed, N failed'.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import processes
from api import Failed, ensure, equal, eventually
from chaos_plans import make, native_text
from gateway import CLIENT_KEY, HERE, MARK, Gateway
from serverless_checks import default_model

NAME = "ray"


class Nodes:
    """`ray_cluster.py` as a process that takes commands."""

    def __init__(self, python, log):
        self.process = subprocess.Popen([python, os.path.join(HERE, "..", "ray_cluster.py"), "--head-cpus", "0", "--node", "a=1", "--node", "b=1"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the Ray cluster did not start; see {log.name}")
        self.dashboard = json.loads(line)["dashboard"]

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise Failed(f"{command}: {answer['error']}")
        return answer

    def workers(self, name):
        """Ids of the gateway's workers that run on a node."""
        ids = {processes.environment(pid).get("RUNPOD_POD_ID") for pid in self.ask(f"pids {name}")["pids"]}
        return ids - {None}

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Steps:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, what, step):
        begin = time.monotonic()
        try:
            detail, state = step() or "", "ok"
            self.passed += 1
        except Failed as failure:
            detail, state = str(failure), "FAIL"
            self.failed += 1
        print(f"{state:4} {what:62} {time.monotonic() - begin:6.1f} s  {detail}".rstrip(), flush=True)
        return state == "ok"


class Play:
    def __init__(self, options, gateway, nodes):
        self.options, self.gateway, self.nodes = options, gateway, nodes
        self.raw = gateway.api(CLIENT_KEY).on(NAME)
        self.plans = [plan for plan in make(5, 2 * options.jobs) if plan.sampling["temperature"] == 0][:options.jobs]
        for plan in self.plans:
            plan.sampling["max_tokens"] = 200

    def up(self):
        """Both workers are there, one on each node."""
        eventually(lambda: len([w for w in self.gateway.workers(NAME) if w["state"] in ("idle", "running")]) == 2, 180, "two workers are ready", every=0.5)
        self.on = {name: self.nodes.workers(name) for name in ("a", "b")}
        equal([len(ids) for ids in self.on.values()], [1, 1], "workers by node")
        return ", ".join(f"{name}: {next(iter(ids))}" for name, ids in self.on.items())

    def record(self):
        for plan in self.plans:
            payload = self.raw.runsync(plan.native(), wait=120000)
            equal(payload["status"], "COMPLETED", "state of an undisturbed job")
            plan.text = native_text(payload["output"])

    def load(self):
        """Jobs on both nodes, in mid-generation."""
        self.jobs = [(self.raw.run(plan.native(stream=True)), plan) for plan in self.plans]

        def both():
            found = {job: self.raw.status(job) for job, _ in self.jobs}
            running = {p["workerId"] for p in found.values() if p["status"] == "IN_PROGRESS"}
            return len(running) == 2 and found

        found = eventually(both, 60, "both workers have jobs")
        self.doomed = next(iter(self.on["a"]))
        self.survivor = next(iter(self.on["b"]))
        eventually(lambda: any(self.raw.call("GET", f"stream/{job}?after=0&wait=1000").ok()["stream"] for job, p in found.items()
                               if p.get("workerId") == self.doomed), 30, "chunks of a job on the node that is to die")
        self.hit = [job for job, _ in self.jobs if (p := self.raw.status(job))["status"] == "IN_PROGRESS" and p["workerId"] == self.doomed]
        return f"{len(self.hit)} on the node that is to die"

    def kill(self):
        ensure(self.hit, "jobs run on the node that is to die")
        self.nodes.ask("kill a")
        self.killed = time.monotonic()

    def finish(self):
        """All jobs end, with their texts, those of the dead node on the other."""
        for job, plan in self.jobs:
            payload = self.raw.completed(job, 180)
            equal(native_text(payload["output"]), plan.text, f"text of {job}")
            if job in self.hit:
                equal((payload["workerId"], payload.get("retries")), (self.survivor, 1), f"worker and retries of {job}")
            chunks = self.raw.call("GET", f"stream/{job}?after=0").ok()["stream"]
            equal([c["index"] for c in chunks], list(range(len(chunks))), "numbers of the chunks")
            equal(native_text([c["output"] for c in chunks]), plan.text, f"stream of {job}")
        return f"{time.monotonic() - self.killed:.1f} s after the node's death"

    def wait_for_room(self):
        """The second worker waits for a node, and says so; with a new node it comes."""
        waiting = eventually(lambda: [w for w in self.gateway.workers(NAME, up=False) if w["id"] not in (self.doomed, self.survivor)], 60, "a worker is ordered anew")
        eventually(lambda: any(w["state"] == "throttled" and w["reason"] for w in self.gateway.workers(NAME, up=False)), 60, "it is throttled, with a reason")
        reason = next(w["reason"] for w in self.gateway.workers(NAME, up=False) if w["state"] == "throttled")
        equal(self.raw.health()["workers"]["throttled"], len(waiting), "throttled by /health")
        self.nodes.ask("add c=1")
        eventually(lambda: len([w for w in self.gateway.workers(NAME) if w["state"] in ("idle", "running")]) == 2, 120, "two workers are ready again", every=0.5)
        equal(len(self.nodes.workers("c")), 1, "workers on the new node")
        return reason

    def restart(self):
        """The gateway dies and finds its workers on Ray again."""
        before = {w["id"] for w in self.gateway.workers(NAME)}
        job = self.raw.run(self.plans[0].native(stream=True))
        self.raw.until(job, "IN_PROGRESS", 30)
        self.gateway.kill()
        self.gateway.start()
        self.raw = self.gateway.api(CLIENT_KEY).on(NAME)
        equal(native_text(self.raw.completed(job, 120)["output"]), self.plans[0].text, "text of the job that ran meanwhile")
        equal({w["id"] for w in self.gateway.workers(NAME)}, before, "workers")

    def stop(self):
        equal(self.gateway.stop(90), 0, "exit status of the gateway")
        left = processes.gone(processes.marked(MARK, self.gateway.mark), 15)
        equal([processes.command(pid) for pid in left], [], "processes left on the nodes")


def definition(options, dashboard):
    environment = {"MODEL_NAME": options.model, "MAX_MODEL_LEN": "1024", "MAX_CONCURRENCY": "4", "THREADS": "1", "KV_CACHE_MEMORY": "256MiB"}
    return {"workersMin": 2, "workersMax": 2, "scalerType": "REQUEST_COUNT", "scalerValue": 4, "idleTimeout": 60, "maxRetries": 5, "pingIntervalMs": 2000,
            "maxStartsPerMinute": 1000, "initTimeout": 120, "provider": {"ray": {"address": dashboard, "cpus": 1, "env": environment}}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--ray-python", default=sys.executable)
    parser.add_argument("--jobs", type=int, default=8)
    options = parser.parse_args()
    steps = Steps()
    gateway = Gateway(options.binary, {})
    with open(os.path.join(gateway.folder, "ray.log"), "w") as log:
        nodes = Nodes(options.ray_python, log)
    gateway.config["endpoints"][NAME] = definition(options, nodes.dashboard)
    gateway.config["endpoints"][NAME]["provider"]["ray"]["env"][MARK] = gateway.mark
    gateway.write()
    try:
        gateway.start()
        play = Play(options, gateway, nodes)
        plan = [("two workers, one on each node", play.up), ("texts recorded", play.record), ("jobs on both nodes", play.load), ("one node dies", play.kill),
                ("its jobs finish on the other, with their texts", play.finish), ("a new worker waits for room, and comes with a new node", play.wait_for_room),
                ("a restarted gateway finds its workers", play.restart), ("the gateway ends its workers", play.stop)]
        for what, step in plan:
            if not steps(what, step):
                break
    finally:
        gateway.kill()
        nodes.close()
        gateway.sweep()
        if steps.failed:
            print(gateway.tail(), file=sys.stderr)
            print(f"kept: {gateway.folder}")
        else:
            gateway.remove()
    print(f"{steps.passed} passed, {steps.failed} failed")
    sys.exit(1 if steps.failed or not steps.passed else 0)


if __name__ == "__main__":
    main()
