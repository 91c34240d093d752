"""A PostgreSQL cluster of one's own, on loopback, made to be killed and thrown away."""
import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import processes


def programs():
    """Folder of PostgreSQL's programs; None where it is not installed."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    folders += [os.path.dirname(found) for found in [shutil.which("initdb")] if found]
    return next((f for f in reversed(folders) if os.path.exists(os.path.join(f, "postgres")) and os.path.exists(os.path.join(f, "pg_isready"))), None)


class Cluster:
    """Runs as user postgres when we are root: PostgreSQL refuses to be root."""

    def __init__(self, settings=()):
        self.bin = programs()
        if not self.bin:
            raise RuntimeError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self.folder = tempfile.mkdtemp(prefix="needletail-postgres-")
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data, self.log = os.path.join(self.folder, "data"), os.path.join(self.folder, "postgres.log")
        self.password, self.process = secrets.token_hex(12), None
        self._init(settings)

    def _init(self, settings):
        words = os.path.join(self.folder, "password")
        with open(words, "w") as file:
            file.write(self.password)
        os.chmod(words, 0o644)
        self._run("initdb", "-D", self.data, "-U", "needletail", "-A", "scram-sha-256", "--pwfile", words, "-E", "UTF8", "--locale", "C")
        os.remove(words)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        lines = [f"port = {self.port}", "listen_addresses = '127.0.0.1'", f"unix_socket_directories = '{self.folder}'", *settings]
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write("\n".join(lines) + "\n")

    def _run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], capture_output=True, text=True, cwd=self.folder, **self.user)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()[-500:]}")
        return done.stdout

    @property
    def url(self):
        return f"postgres://needletail:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self, seconds=60):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([os.path.join(self.bin, "postgres"), "-D", self.data], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, cwd=self.folder, **self.user)
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and self.process.poll() is None:
            if self.ready():
                return self
            time.sleep(0.05)
        with open(self.log, errors="replace") as file:
            raise RuntimeError("PostgreSQL did not start:\n" + file.read()[-1500:])

    def ready(self):
        return subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def query(self, sql):
        """Rows of one query, as texts."""
        done = subprocess.run([os.path.join(self.bin, "psql"), self.url, "-AtX", "-F", "\t", "-c", sql], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]

    def pids(self):
        """The server's processes, itself first."""
        if not self.process or self.process.poll() is not None:
            return []
        own = self.process.pid
        return [own] + [int(n) for n in os.listdir("/proc") if n.isdigit() and processes.parent(int(n)) == own]

    def signal(self, number):
        for pid in self.pids():
            processes.kill(pid, number)

    def kill(self):
        """What a loss of power is to it: all its processes at once."""
        pids = self.pids()
        for pid in pids:
            processes.kill(pid)
        if self.process:
            self.process.wait()
        processes.gone(pids[1:], 5)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
