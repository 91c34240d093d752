#!/usr/bin/env python3
"""Checks two gateways on one PostgreSQL: jobs, streams, cancels, keys and definitions across them, one of them scaling, and that one's death.

    two_gateways.py --binary .build/release/needletail [--only 1,4] [--model PATH] [--slow] [--keep]

Workers that know only one of the two are started by hand; those that a gateway starts reach both by a load balancer. One line a check, then
'N passed, N failed'; exit status 1 if any failed, or if a process is left behind.
"""
import argparse
import os
import sys
import threading
import time

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

import checks_failover
import checks_replicas
from balancer import Balancer
from bench import Bench
from gateway import Gateway
from postgres import Cluster
from receiver import Receiver
from serverless_checks import Report, default_model, run
from visitors import Visitor

WATCHDOG_SECONDS = 900


class Pair(Bench):
    """What a check is given. `first` led when the two were started."""

    def __init__(self, first, second, balancer, receiver, visitors, options):
        super().__init__(first, None, receiver, options)
        self.first, self.second, self.balancer, self.visitors = first, second, balancer, visitors

    @property
    def both(self):
        return [self.first, self.second]

    def apis(self, endpoint):
        """The endpoint at the first and at the second gateway."""
        return [gateway.api().on(endpoint) for gateway in self.both]


def start_visitors(first, second, options):
    """Workers by endpoint."""
    far = {"far": {"HANDLER": "task"}, "farchunks": {"HANDLER": "chunks"}, "farscripted": {"HANDLER": "openai"}}
    near = {"near": {"HANDLER": "task"}, "nearchunks": {"HANDLER": "chunks"}}
    found = {name: Visitor(second, name, "v" + name, CONCURRENCY="4", **more) for name, more in far.items()}
    found |= {name: Visitor(first, name, "v" + name, CONCURRENCY="4", **more) for name, more in near.items()}
    if options.model:
        found["farmodel"] = Visitor(second, "farmodel", "vfarmodel", [second.binary, "worker"], **checks_replicas.worker(options.model))
    return found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="", help="numbers, with commas")
    parser.add_argument("--model", default=default_model(), help="a small generative model with a chat template")
    parser.add_argument("--slow", action="store_true", help="also checks that take a minute")
    parser.add_argument("--keep", action="store_true", help="keep the gateways' folders")
    return parser.parse_args()


def watch(report, gateways):
    def bite():
        print(f"FAIL not done after {WATCHDOG_SECONDS} s: checks {sorted(report.running)}", flush=True)
        for gateway in gateways:
            gateway.kill()
        gateways[0].sweep()
        os._exit(1)
    timer = threading.Timer(WATCHDOG_SECONDS, bite)
    timer.daemon = True
    timer.start()


def after(pair, report):
    """The end is a check too: both end, and the workers of the one that leads with it."""
    begin = time.monotonic()
    for visitor in pair.visitors.values():
        visitor.kill()
    statuses = [gateway.stop() for gateway in pair.both]
    left = pair.first.sweep()
    fine = statuses == [0, 0] and not left
    report.line("ok" if fine else "FAIL", 0, "stop", time.monotonic() - begin, "" if fine else f"exit statuses {statuses}, left behind: {left}")


def main():
    options = arguments()
    only = {int(n) for n in options.only.split(",") if n}
    checks = {int(name.split("_")[1]): f for module in (checks_replicas, checks_failover) for name, f in vars(module).items()
              if name.startswith("check_")}
    checks = {n: f for n, f in sorted(checks.items()) if (n in only if only else options.slow or not getattr(f, "slow", False))}
    begin, report, balancer = time.monotonic(), Report(), Balancer()
    cluster = Cluster().start()
    first = Gateway(options.binary, {**checks_replicas.ENDPOINTS, **checks_failover.endpoints(balancer)}, store=cluster.url)
    second, visitors = first.replica(), {}
    watch(report, [first, second])
    try:
        first.start()
        second.start()
        balancer.upstreams = [first.port, second.port]
        visitors = start_visitors(first, second, options)
        pair = Pair(first, second, balancer, Receiver(), visitors, options)
        for number, function in checks.items():
            run(number, function, pair, report)
        after(pair, report)
    finally:
        for gateway in (first, second):
            gateway.kill()
        first.sweep()
        for visitor in visitors.values():
            visitor.kill()
        cluster.remove()
        for gateway in (first, second):
            if report.counts["FAIL"]:
                print(f"--- end of {gateway.log_path}\n{gateway.tail(25)}", file=sys.stderr)
            if options.keep or report.counts["FAIL"]:
                print(f"kept: {gateway.folder}")
            else:
                gateway.remove()
    passed, failed, skipped = (report.counts[k] for k in ("ok", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "") + f", {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
