"""`needletail gateway` as a process: its configuration, its files, its life and death."""
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import yaml

import processes
from api import Api, Failed

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT_KEY, ADMIN_KEY, WORKER_KEY = "client-key-of-the-checks", "admin-key-of-the-checks", "worker-key-of-the-checks"
MARK = "ACCEPTANCE_MARK"
UP = {"initializing", "idle", "running", "draining"}


def sdk(handler="task", concurrency=1, env=None, proxied=False, **settings):
    """Definition of an endpoint whose workers are `handlers.py` on the published SDK."""
    variables = {"HANDLER": handler, "CONCURRENCY": str(concurrency), "RUNPOD_SKIP_GPU_CHECK": "true", **(env or {})}
    return process([sys.executable, os.path.join(HERE, "handlers.py")], variables, proxied, **settings)


def light(env=None, **settings):
    """Definition of an endpoint whose workers start in a moment: `light_worker.py`, standard library only."""
    return process([sys.executable, "-S", "-E", os.path.join(HERE, "light_worker.py")], env or {}, **settings)


def llm(env, command=None, proxied=False, **settings):
    """Definition of an endpoint whose workers are the binary's own `worker`."""
    return process(command, env, proxied, **{"initTimeout": 120, **settings})


def process(command, env, proxied=False, **settings):
    kind = {"env": dict(env)}
    if command:
        kind["command"] = command
    if proxied:
        kind["gatewayURL"] = "PROXY"
    # A minute's pause after losses or a slow start would only make the checks slow.
    return {"workersMin": 0, "workersMax": 1, "idleTimeout": 60, "scalerType": "REQUEST_COUNT", "scalerValue": 1, "maxStartsPerMinute": 1000,
            **settings, "provider": {"process": kind}}


def visitors(**settings):
    """Definition of an endpoint whose workers come by themselves, or never."""
    return {"workersMin": 0, "workersMax": 0, **settings, "provider": "none"}


class Gateway:
    """One gateway with a folder of its own. All its processes carry a mark, so that none is overlooked."""

    def __init__(self, binary, endpoints, store=None, proxy=None, keys=(), **settings):
        self.binary, self.proxy = os.path.abspath(binary), proxy
        self.folder = tempfile.mkdtemp(prefix="needletail-checks-")
        self.mark = secrets.token_hex(8)
        self.port, self.process, self.starts = 0, None, 0
        self.store = store or f"sqlite:{self.folder}/jobs.sqlite"
        self.home = os.path.join(self.folder, "home")
        os.makedirs(os.path.join(self.folder, "records"), exist_ok=True)
        os.makedirs(self.home, exist_ok=True)
        self.config = {
            "keys": [{"name": "app", "role": "client", "key": CLIENT_KEY}, {"name": "ops", "role": "admin", "key": ADMIN_KEY},
                     {"name": "own", "role": "worker", "key": WORKER_KEY}, *keys],
            "endpoints": {name: self.completed(name, definition) for name, definition in endpoints.items()},
            **settings,
        }
        self.write()

    def completed(self, name, definition):
        """A definition with what is known only now: the mark, the record file, the proxy's address."""
        provider = definition["provider"]
        if isinstance(provider, dict) and "process" in provider:
            given = provider["process"]
            kind = {**given, "env": {"HOME": self.home, "RECORD": self.record_path(name), **given["env"], MARK: self.mark}}
            if kind.get("gatewayURL") == "PROXY":
                kind["gatewayURL"] = self.proxy.base
            return {**definition, "provider": {"process": kind}}
        return definition

    def record_path(self, name):
        return os.path.join(self.folder, "records", name + ".jsonl")

    @property
    def config_path(self):
        return os.path.join(self.folder, "gateway.yaml")

    @property
    def log_path(self):
        return os.path.join(self.folder, "gateway.log")

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def write(self):
        # Keys in clear: for nobody else to read, as the gateway demands.
        with open(os.open(self.config_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            yaml.safe_dump(self.config, file, sort_keys=False)

    def replica(self):
        """Another gateway with the same definitions and the same store; workers of both write the same records and carry the same mark."""
        other = Gateway(self.binary, {}, store=self.store)
        other.mark, other.home, other.config, other.record_path = self.mark, self.home, self.config, self.record_path
        other.write()
        return other

    # ------------------------------------------------------------------ life

    def start(self, seconds=60):
        """Starts it, on the port it had before if it ran before: workers that live on know it by that."""
        offset = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "gateway", "--config", self.config_path, "--listen", f"127.0.0.1:{self.port}", "--store", self.store,
                 "--state-directory", os.path.join(self.folder, "state")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env={**os.environ, MARK: self.mark, "HOME": self.home})
        self.starts += 1
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and self.process.poll() is None:
            if self.announced(offset) and self.ready():
                if self.proxy:
                    self.proxy.upstream = self.base
                return self
            time.sleep(0.02)
        raise Failed(f"the gateway did not start (status {self.process.poll()}):\n{self.tail()}")

    def announced(self, offset):
        with open(self.log_path, "rb") as file:
            file.seek(offset)
            found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)", file.read())
        if found:
            self.port = int(found[1])
        return bool(found)

    def ready(self):
        try:
            return Api(self.base, CLIENT_KEY).call("GET", "/ping", timeout=2).status == 200
        except OSError:
            return False

    def stop(self, seconds=60):
        """Asks it to end. Returns its exit status; None if it had to be killed."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def others(self):
        """Living processes of this gateway besides itself."""
        own = self.process.pid if self.process else None
        return [pid for pid in processes.marked(MARK, self.mark) if pid != own]

    def sweep(self):
        """Ends whatever is left; returns what that was."""
        left = {pid: processes.command(pid) for pid in self.others()}
        for pid in left:
            processes.kill(pid)
        return list(left.values())

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def tail(self, lines=40):
        try:
            with open(self.log_path, errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""

    # ------------------------------------------------------------------ doors

    def api(self, key=CLIENT_KEY):
        return Api(self.base, key)

    def admin(self, method, path, body=None, **more):
        return self.api(ADMIN_KEY).call(method, "/admin/api/" + path, body, **more)

    def workers(self, endpoint, up=True):
        """Workers as the admin API lists them; with `up` those that may have a process."""
        listed = self.admin("GET", f"workers?endpoint={endpoint}").ok("workers")["workers"]
        return [w for w in listed if not up or w["state"] in UP]

    def worker_pid(self, endpoint, worker=None):
        """Process id of a worker that is up; None where there is none."""
        for one in self.workers(endpoint):
            if worker in (None, one["id"]) and one["handle"]:
                pid = int(one["handle"].split(":")[0])
                if processes.alive(pid):
                    return pid
        return None
