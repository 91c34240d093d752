"""Which of two gateways starts workers, and what happens when that one dies, for two_gateways.py."""
import collections
import contextlib
import os
import signal
import threading
import time

import processes
from api import ensure, equal, eventually
from bench import needs
from gateway import MARK, sdk

# Leadership ends 10 s after its last renewal; the others ask every 3 s.
TAKEOVER_SECONDS = 20


def endpoints(balancer):
    """Workers of `one` reach both gateways, those of `direct` only the one that started them."""
    one, direct = (sdk("task", allowPrivateWebhooks=True, pingIntervalMs=2000) for _ in range(2))
    one["provider"]["process"]["gatewayURL"] = balancer.base
    return {"one": one, "direct": direct}


def said(gateway, words, offset=0):
    """Lines of a gateway's log from an offset on that have these words."""
    with open(gateway.log_path, errors="replace") as file:
        file.seek(offset)
        return [line for line in file if words in line]


def leader(pair):
    """(the gateway that leads, the other one): by who said so last."""
    claims = [(line.split()[0], place) for place, gateway in enumerate(pair.both) for line in said(gateway, "leads now")]
    place = max(claims)[1]
    return pair.both[place], pair.both[1 - place]


class Census:
    """Counts an endpoint's workers over and over. A worker is the head of a process group; its children may outlive it for a moment."""

    def __init__(self, pair, endpoint):
        self.pair, self.endpoint, self.most, self.over = pair, endpoint, 0, threading.Event()

    def now(self):
        heads = [pid for pid in processes.marked(MARK, self.pair.first.mark) if int(processes.stat(pid)[2]) == pid]
        return sum(processes.environment(pid).get("RUNPOD_ENDPOINT_ID") == self.endpoint for pid in heads)

    def _run(self):
        while not self.over.wait(0.1):
            with contextlib.suppress(TypeError):        # one that ended while it was looked at
                self.most = max(self.most, self.now())

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def burst(pair, endpoint, names, gateways, seconds=0.2):
    """Submits a job for each name, in turn at these gateways; ids by name."""
    apis = [gateway.api().on(endpoint) for gateway in gateways]
    return {name: apis[n % len(apis)].run({"do": "sleep", "seconds": seconds, "value": name}, webhook=pair.receiver.url(name))
            for n, name in enumerate(names)}


def all_done(pair, endpoint, jobs, gateways, seconds):
    """Each job is COMPLETED with its own value at each of these gateways, and its webhook came. Returns how many jobs each worker did."""
    limit, workers = time.monotonic() + seconds, collections.Counter()
    for name, job in jobs.items():
        payloads = [gateway.api().on(endpoint).completed(job, max(1, limit - time.monotonic())) for gateway in gateways]
        for payload in payloads:
            equal((payload["output"]["value"], payload["output"]), (name, payloads[0]["output"]), "output")
        workers[payloads[0]["workerId"]] += 1
    # One that was on its way when its gateway died is sent again when that one's lease of it is over.
    eventually(lambda: sum(not pair.receiver.of(name) for name in jobs) <= 1, 20, "webhooks come, all but one")
    eventually(lambda: all(pair.receiver.of(name) for name in jobs), 120, "every webhook comes")
    return workers


def posts(pair, jobs):
    """Names of the jobs whose webhook came more than once; each must tell of its own job's end."""
    twice = [name for name in jobs if len(pair.receiver.of(name)) > 1]
    for name, job in jobs.items():
        equal({(body["id"], body["status"]) for _, body in pair.receiver.of(name)}, {(job, "COMPLETED")}, "webhooks of a job")
    return twice


@needs()
def check_12_one_scales(pair):
    """Jobs at both gateways: only one of the two starts workers, and no more than `workersMax`."""
    offsets = [os.path.getsize(gateway.log_path) for gateway in pair.both]
    with Census(pair, "one") as census:
        jobs = burst(pair, "one", [f"both{n}" for n in range(8)], pair.both)
        workers = all_done(pair, "one", jobs, pair.both, 60)
    equal((census.most, len(workers)), (1, 1), "most worker processes at a time, and workers that did jobs")
    equal(posts(pair, jobs), [], "webhooks that came twice")
    starts = [len(said(gateway, "worker started", offset)) for gateway, offset in zip(pair.both, offsets)]
    equal(sorted(starts), [0, 1], "workers started by each gateway")
    ensure(starts[pair.both.index(leader(pair)[0])] == 1, "the one that leads started it", starts)
    counts = [pair.balancer.counts.get(gateway.port, 0) for gateway in pair.both]
    ensure(min(counts) > 0, "the worker spoke to both gateways", counts)
    refused = [line for gateway in pair.both for line in worker_log(gateway) if any(w in line for w in ("Unauthorized", "Response 401", "Status: 401"))]
    equal(refused[:3], [], "refusals that the worker met")


def worker_log(gateway):
    """Lines of the logs of the workers that a gateway started."""
    lines = []
    for folder, _, names in os.walk(os.path.join(gateway.folder, "state")):
        for name in names:
            with contextlib.suppress(OSError), open(os.path.join(folder, name), errors="replace") as file:
                lines += file.readlines()
    return lines


@needs()
def check_13_leader_killed(pair):
    """kill -9 of the gateway that leads: the other takes over, keeps the worker, and every accepted job ends once; the dead one comes back and follows."""
    first, second = leader(pair)
    with Census(pair, "one") as census:
        warm = burst(pair, "one", ["warm"], [second])
        kept = all_done(pair, "one", warm, [second], 60)
        jobs = burst(pair, "one", [f"kill{n}" for n in range(12)], pair.both, seconds=0.3)
        eventually(lambda: second.api().on("one").state(jobs["kill3"]) == "COMPLETED", 60, "some jobs are done before the kill")
        offset, begin = os.path.getsize(second.log_path), time.monotonic()
        first.kill()
        jobs |= burst(pair, "one", [f"late{n}" for n in range(4)], [second], seconds=0.3)
        eventually(lambda: said(second, "leads now", offset), TAKEOVER_SECONDS, "the other gateway leads")
        took = time.monotonic() - begin
        workers = all_done(pair, "one", jobs, [second], 60)
        ended = time.monotonic() - begin
    equal(census.most, 1, "most worker processes at a time")
    equal((set(workers), said(second, "worker started", offset)), (set(kept), []), "the worker lives on, and no other was started")
    ensure(len(posts(pair, jobs)) <= 1, "no webhook came twice but the one that was on its way", posts(pair, jobs))
    ends = collections.Counter(line["job"] for line in pair.records("one", "end"))
    equal([name for name, job in jobs.items() if ends[job] != 1], [], "jobs that did not run just once")

    first.start()
    equal(all_done(pair, "one", jobs, [first], 10), workers, "what the gateway that came back tells of the jobs")
    again = burst(pair, "one", [f"again{n}" for n in range(4)], pair.both)
    all_done(pair, "one", again, pair.both, 30)
    equal(leader(pair)[0].port, second.port, "the other goes on leading")
    return f"led after {took:.1f} s, all done after {ended:.1f} s"


@needs()
def check_14_leader_halted(pair):
    """SIGSTOP of the gateway that leads for longer than its term: when it goes on, it does not think that it still leads."""
    first, second = leader(pair)
    offsets = {gateway: os.path.getsize(gateway.log_path) for gateway in pair.both}
    with Census(pair, "one") as census:
        processes.kill(first.process.pid, signal.SIGSTOP)
        try:
            # What the stopped one accepts connections for hangs; the balancer leaves it out, as one with a health check would.
            pair.balancer.upstreams = [second.port]
            jobs = burst(pair, "one", [f"halt{n}" for n in range(6)], [second], seconds=0.3)
            eventually(lambda: said(second, "leads now", offsets[second]), TAKEOVER_SECONDS, "the other gateway leads")
            pid = eventually(lambda: second.worker_pid("one"), 40, "a worker is up")
            # It is gone without a word while the one that thinks it leads holds still.
            processes.kill(pid)
            eventually(lambda: second.worker_pid("one") not in (None, pid), 40, "the new leader replaces a worker that was killed")
        finally:
            processes.kill(first.process.pid, signal.SIGCONT)
            pair.balancer.upstreams = [gateway.port for gateway in pair.both]
        all_done(pair, "one", jobs, pair.both, 60)
        more = burst(pair, "one", [f"on{n}" for n in range(4)], pair.both)
        all_done(pair, "one", more, pair.both, 60)
        time.sleep(3)
    equal(census.most, 1, "most worker processes at a time")
    equal(said(first, "worker started", offsets[first]), [], "workers started by the one that was stopped")
    equal(leader(pair)[0].port, second.port, "the other goes on leading")


@needs()
def check_15_worker_of_the_dead(pair):
    """A worker that knows only a gateway that is dead: the other one ends it when it is silent for too long, starts its own, and no job is lost."""
    first, second = leader(pair)
    with Census(pair, "direct") as census:
        all_done(pair, "direct", burst(pair, "direct", ["direct"], [second]), [second], 60)
        jobs = burst(pair, "direct", [f"direct{n}" for n in range(6)], pair.both, seconds=0.5)
        running = burst(pair, "direct", ["running"], [second], seconds=5)
        eventually(lambda: second.api().on("direct").state(jobs["direct1"]) == "COMPLETED", 60, "some jobs are done before the kill")
        begin = time.monotonic()
        first.kill()
        try:
            workers = all_done(pair, "direct", jobs | running, [second], 120)
            ended = time.monotonic() - begin
        finally:
            first.start()
    equal((census.most, len(workers)), (1, 2), "most worker processes at a time, and workers that did jobs")
    all_done(pair, "direct", jobs | running, [first], 10)
    return f"all done {ended:.0f} s after the kill"


@needs()
def check_16_stopped_at_once(pair):
    """SIGTERM to a gateway that was started after the death of both, and does not lead yet: it ends the workers that they left."""
    first, second = leader(pair)
    jobs = burst(pair, "one", ["left"], [second])
    all_done(pair, "one", jobs, [second], 60)
    pid = eventually(lambda: second.worker_pid("one"), 10, "a worker is up")
    for gateway in pair.both:
        gateway.kill()
    ensure(processes.alive(pid), "the worker outlives its gateways")
    offset, begin = os.path.getsize(second.log_path), time.monotonic()
    second.start()
    try:
        equal((said(second, "leads now", offset), second.stop()), ([], 0), "whether it led before it was stopped, and its exit status")
        took = time.monotonic() - begin
        ensure(processes.gone([pid], 5) == [], "the worker is gone")
        # It has let the lease go: who comes next need not wait for its end.
        offset, begin = os.path.getsize(first.log_path), time.monotonic()
        first.start()
        eventually(lambda: said(first, "leads now", offset), 5, "the next gateway leads at once")
    finally:
        for gateway in pair.both:
            if gateway.process.poll() is not None:
                gateway.start()
    return f"ended after {took:.1f} s"


check_14_leader_halted.slow = check_15_worker_of_the_dead.slow = True
