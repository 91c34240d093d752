#!/usr/bin/env python3
"""A Ray cluster of several nodes on this machine, loopback only, for tests of workers on Ray.

    pip install 'ray[default]'
    python ray_cluster.py --head-cpus 0 --node a=2 --node b=2

prints one line of JSON once the cluster is up:

    {"dashboard": "http://127.0.0.1:45123", "nodes": {"head": "<node id>", "a": "<node id>", "b": "<node id>"}}

Node NAME has that many CPUs and the custom resource `node_NAME` (1.0 for each CPU), so a job can ask for a node by it. Then it reads commands from
stdin, one a line, and answers each with a line of JSON:

    kill NAME    everything on the node dies at once (SIGKILL), as when a machine is switched off: raylet, agents, jobs
    pids NAME    processes that run on the node now
    add NAME=CPUS
    quit         (or the end of input) ends the cluster

As a module: `with RayCluster({"a": 2, "b": 2}) as cluster: cluster.dashboard, cluster.kill("a")`.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")   # other programs fill this machine, not these workers
# How long the head takes to give a silent node up. Ray's own: 3 s, 10 s, 5 times.
os.environ.setdefault("RAY_health_check_period_ms", "500")
os.environ.setdefault("RAY_health_check_timeout_ms", "1000")
os.environ.setdefault("RAY_health_check_failure_threshold", "3")

from ray.cluster_utils import Cluster  # noqa: E402  (the variables above are read on import)
import psutil  # noqa: E402  (Ray brings one along)

OBJECT_STORE_BYTES = 100 << 20      # the least that Ray takes is 75 MiB


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RayCluster:
    def __init__(self, nodes, head_cpus=0):
        self.folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")    # paths of Ray's sockets must stay short
        os.environ["RAY_TMPDIR"] = self.folder
        os.makedirs(os.path.join(self.folder, "ray"))
        port = free_port()
        self.dashboard = f"http://127.0.0.1:{port}"
        self.cluster = Cluster(initialize_head=True, head_node_args=self._arguments(
            "head", head_cpus, include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=port,
            dashboard_agent_listen_port=free_port()))
        self.nodes = {"head": self.cluster.head_node}
        for name, cpus in nodes.items():
            self.add(name, cpus)

    @staticmethod
    def _arguments(name, cpus, **more):
        resources = {f"node_{name}": float(cpus)} if cpus else {}
        return dict(num_cpus=cpus, num_gpus=0, resources=resources, object_store_memory=OBJECT_STORE_BYTES, node_ip_address="127.0.0.1", **more)

    def add(self, name, cpus):
        if name in self.nodes:
            raise ValueError(f"there is a node '{name}' already")
        self.nodes[name] = self.cluster.add_node(**self._arguments(name, cpus, dashboard_agent_listen_port=free_port()))

    def ids(self):
        return {name: node.node_id for name, node in self.nodes.items()}

    def pids(self, name):
        """All that runs on a node. A job's command leads a session of its own but stays a child of Ray's worker process."""
        found = {}
        for infos in self.nodes[name].all_processes.values():
            for info in infos:
                try:
                    process = psutil.Process(info.process.pid)
                    found[process.pid] = process
                    found.update((child.pid, child) for child in process.children(recursive=True))
                except psutil.NoSuchProcess:
                    pass
        return sorted(found)

    def kill(self, name):
        node, pids = self.nodes[name], self.pids(name)
        for sig in (signal.SIGSTOP, signal.SIGKILL):    # stopped first, so that none sees another's end
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
        self.cluster.remove_node(node, allow_graceful=False)
        del self.nodes[name]
        return pids

    def close(self):
        pids = [pid for name in list(self.nodes) for pid in self.pids(name)]
        self.cluster.shutdown()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def parse_node(text):
    name, _, cpus = text.partition("=")
    if not name.isidentifier():
        raise argparse.ArgumentTypeError(f"'{name}' is no name for a node")
    return name, int(cpus or 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head-cpus", type=int, default=0, help="0: jobs that ask for a CPU run elsewhere")
    parser.add_argument("--node", type=parse_node, action="append", metavar="NAME=CPUS")
    a = parser.parse_args()

    answers = os.fdopen(os.dup(1), "w")     # Ray writes to stdout too
    os.dup2(2, 1)

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with RayCluster(dict(a.node or [("a", 2), ("b", 2)]), a.head_cpus) as cluster:
        answer({"dashboard": cluster.dashboard, "nodes": cluster.ids()})
        for line in sys.stdin:
            verb, _, rest = line.strip().partition(" ")
            try:
                if verb == "kill":
                    answer({"killed": cluster.kill(rest), "at": time.time()})
                elif verb == "pids":
                    answer({"pids": cluster.pids(rest)})
                elif verb == "add":
                    cluster.add(*parse_node(rest))
                    answer({"nodes": cluster.ids()})
                elif verb == "quit":
                    break
                elif verb:
                    answer({"error": f"no command '{verb}'"})
            except Exception as error:
                answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
