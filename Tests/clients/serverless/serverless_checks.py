#!/usr/bin/env python3
"""Runs the acceptance checks of the serverless gateway and worker, with Runpod's published SDK and OpenAI's client.

    serverless_checks.py --binary .build/release/needletail [--only 7,12] [--model PATH] [--jobs 10] [--cycles 10] [--store sqlite|postgres] [--keep]

Starts one gateway on 127.0.0.1 with an endpoint or more for each check. Checks that measure times run one by one, all others side by side.
One line a check, then 'N passed, N failed'; exit status 1 if any failed, or if a process is left behind.
"""
import argparse
import collections
import concurrent.futures
import glob
import importlib
import logging
import os
import sys
import threading
import time
import traceback

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

MODULES = ["checks_client", "checks_limits", "checks_worker", "checks_llm", "checks_start"]
LIMITED = {"name": "limited", "role": "client", "key": "limited-key-of-the-checks", "endpoints": ["chunks"]}
WATCHDOG_SECONDS = 1500


def collect(only):
    """The checks by number."""
    found = {}
    for module in MODULES:
        for name, function in vars(importlib.import_module(module)).items():
            if name.startswith("check_") and function.__module__ == module:
                number = int(name.split("_")[1])
                if number in found:
                    sys.exit(f"two checks have the number {number}")
                if not only or number in only:
                    found[number] = function
    return dict(sorted(found.items()))


def default_model():
    """The small model as Tests/clients/run.sh has it made ready."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    found = sorted(glob.glob(os.path.join(cache, "needletail/models/SmolLM2-135M-Instruct*.gguf")))
    return found[0] if found else None


def filled(endpoints, model):
    """Definitions with the model's path in the place of MODEL."""
    def fill(value):
        if isinstance(value, dict):
            return {k: fill(v) for k, v in value.items()}
        return model if value == "MODEL" else value
    return fill(endpoints)


class Report:
    def __init__(self):
        self.counts, self.lock, self.running = collections.Counter(), threading.Lock(), set()

    def line(self, state, number, name, seconds, text=""):
        with self.lock:
            self.counts[state] += 1
            print(f"{state:4} {number:02} {name:20} {seconds:6.1f} s  {text}".rstrip(), flush=True)


def run(number, function, bench, report):
    from bench import Failed, Skip
    name = function.__name__.split("_", 2)[2]
    begin = time.monotonic()
    report.running.add(number)
    try:
        if function.model and not bench.options.model:
            raise Skip("needs --model")
        report.line("ok", number, name, *ended(begin, (function(bench) or "").split("\n")[0][:160]))
    except Skip as skip:
        report.line("skip", number, name, *ended(begin, str(skip)))
    except Failed as failure:
        place = [f for f in traceback.extract_tb(failure.__traceback__) if "checks_" in f.filename]
        where = f" [line {place[-1].lineno}]" if place else ""
        report.line("FAIL", number, name, *ended(begin, str(failure) + where))
    except Exception as error:                          # noqa: BLE001 (whatever a client meets is a finding)
        report.line("FAIL", number, name, *ended(begin, f"{type(error).__name__}: {error}\n" + "".join(traceback.format_tb(error.__traceback__, -3))))
    finally:
        report.running.discard(number)


def ended(begin, text):
    return time.monotonic() - begin, text


def run_all(checks, bench_for, report, jobs):
    """The checks that wait side by side, the long ones first; then those that measure, one by one."""
    longest = [22, 17, 30, 20, 40, 31, 32, 28, 29, 38]
    loud = sorted((n for n, f in checks.items() if not f.quiet), key=lambda n: (longest.index(n) if n in longest else 99, n))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda n: run(n, checks[n], bench_for(), report), loud))
    for number, function in checks.items():
        if function.quiet:
            run(number, function, bench_for(), report)


def watch(report, gateway):
    """Nothing here waits for ever; if something does after all, it is named and all is ended."""
    def bite():
        print(f"FAIL not done after {WATCHDOG_SECONDS} s: checks {sorted(report.running)}", flush=True)
        gateway.kill()
        gateway.sweep()
        os._exit(1)
    timer = threading.Timer(WATCHDOG_SECONDS, bite)
    timer.daemon = True
    timer.start()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="", help="numbers, with commas")
    parser.add_argument("--model", default=default_model(), help="a small generative model with a chat template")
    parser.add_argument("--jobs", type=int, default=10, help="checks side by side")
    parser.add_argument("--cycles", type=int, default=10, help="of check 20; 100 for the whole of it")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite", help="in a folder, or a cluster, of its own")
    parser.add_argument("--keep", action="store_true", help="keep the gateway's folder")
    return parser.parse_args()


def main():
    options = arguments()
    only = {int(n) for n in options.only.split(",") if n}
    begin = time.monotonic()
    from bench import Bench
    from gateway import Gateway
    from postgres import Cluster
    from proxy import Proxy
    from receiver import Receiver
    checks, report = collect(only), Report()
    endpoints = {}
    for function in checks.values():
        if options.model or not function.model:
            endpoints |= filled(function.endpoints, options.model)
    cluster = Cluster().start() if options.store == "postgres" else None
    gateway = Gateway(options.binary, endpoints, store=cluster and cluster.url, proxy=Proxy(), keys=[LIMITED] if "chunks" in endpoints else [])
    receiver = Receiver()
    watch(report, gateway)
    try:
        gateway.start()
        os.environ["RUNPOD_ENDPOINT_BASE_URL"] = gateway.base + "/v2"
        import runpod                                   # reads the address when it is imported
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        assert runpod.endpoint_url_base == gateway.base + "/v2"
        run_all(checks, lambda: Bench(gateway, gateway.proxy, receiver, options), report, options.jobs)
        after(gateway, report)
    finally:
        gateway.kill()
        gateway.sweep()
        if cluster:
            cluster.remove()
        if report.counts["FAIL"]:
            print(f"--- end of {gateway.log_path}\n{gateway.tail()}", file=sys.stderr)
        if options.keep or report.counts["FAIL"]:
            print(f"kept: {gateway.folder}")
        else:
            gateway.remove()
    passed, failed, skipped = (report.counts[k] for k in ("ok", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "") + f", {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed or not passed else 0)


def after(gateway, report):
    """The end is a check too: the gateway stops what it started."""
    begin = time.monotonic()
    status = gateway.stop()
    left = gateway.sweep()
    fine = status == 0 and not left
    report.line("ok" if fine else "FAIL", 0, "stop", time.monotonic() - begin, "" if fine else f"exit status {status}, left behind: {left}")


if __name__ == "__main__":
    main()
