"""Starts an image's files the way a container engine would, inside the name spaces that Scripts/image.sh has made.

usage: image_run.py loopback | image_run.py try
IMAGE_ROOT is the mounted image, IMAGE_CONFIG its configuration as JSON (Entrypoint, Env, User, WorkingDir).
"""

import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request


def loopback_up():
    """`ip link set lo up`, where iproute2 is not installed."""
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


class Container:
    """One process tree in the image's root, as the image's user, with the image's environment, no new privileges and nothing but loopback."""

    def __init__(self, root, config, arguments, environment=()):
        self.root = root
        self.user, _, self.group = config["User"].partition(":")
        # tini is not process 1 of this name space; so that it reaps orphans all the same:
        self.environment = dict(entry.split("=", 1) for entry in config["Env"]) | {"TINI_SUBREAPER": "1"} | dict(environment)
        self.directory = config.get("WorkingDir") or "/"
        self.process = self.start(config["Entrypoint"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start(self, command, **streams):
        def enter():
            os.chroot(self.root)
            os.chdir(self.directory)
            os.setgroups([])
            os.setgid(int(self.group or self.user))
            os.setuid(int(self.user))
            PR_SET_NO_NEW_PRIVS = 38
            ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

        return subprocess.Popen(command, preexec_fn=enter, env=self.environment, **streams)

    def execute(self, command):
        """Exit code and output of a command in the same root, as `docker exec` would run it."""
        process = self.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output.strip()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            output, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("image_run: SIGTERM did not end the container in 30 s")
        return self.process.returncode, output


def wait_for(url, container, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if container.process.poll() is not None:
            sys.exit(f"image_run: ended with {container.process.returncode}:\n{container.process.stdout.read()}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    container.process.kill()
    sys.exit(f"image_run: {url} did not answer in {seconds} s:\n{container.process.stdout.read()}")


# Not 127.0.0.1: a server that listens there only is out of reach of a published port.
PUBLISHED = "127.0.0.2"


def chat(port):
    body = {"messages": [{"role": "user", "content": "Which bird sleeps in flight?"}], "max_tokens": 16, "temperature": 0}
    with urllib.request.urlopen(f"http://{PUBLISHED}:{port}/v1/models", timeout=10) as answer:
        body["model"] = json.load(answer)["data"][0]["id"]
    request = urllib.request.Request(
        f"http://{PUBLISHED}:{port}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        reply = json.load(answer)
    text = reply["choices"][0]["message"]["content"]
    if not text.strip():
        sys.exit(f"image_run: an empty answer: {reply}")
    return body["model"], text


def serve(root, config, model):
    began = time.monotonic()
    container = Container(root, config, ["serve", model, "--port", "8000"])
    wait_for(f"http://{PUBLISHED}:8000/health", container)
    print(f"serve: answers after {time.monotonic() - began:.2f} s, as user {config['User']}")
    name, text = chat(8000)
    print(f"serve: {name}: {text!r}")
    # In a container tini is process 1; here the health check is told where to look.
    container.environment["HEALTHCHECK_URL"] = "http://127.0.0.1:8000/health"
    code, output = container.execute(["/usr/local/bin/healthcheck"])
    print(f"health check: {code} {output}")
    container.environment["HEALTHCHECK_URL"] = "http://127.0.0.1:8001/health"
    wrong, _ = container.execute(["/usr/local/bin/healthcheck"])
    if code != 0 or wrong == 0:
        sys.exit(f"image_run: the health check said {code} of a server that is well, {wrong} of one that is not there")
    code, output = container.stop()
    print(f"SIGTERM through tini: exit code {code}")
    if code != 0:
        sys.exit(f"image_run: ended with {code}:\n{output}")


def worker(root, config):
    """The image as it starts by itself: `worker`, told of its model by /local_model_args.json alone; one job from the command line."""
    job = json.dumps({"id": "local_test", "input": {"prompt": "Swifts are", "sampling_params": {"max_tokens": 8, "temperature": 0}}})
    container = Container(root, config, ["worker", "--test-input", job])
    try:
        output, _ = container.process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        container.process.kill()
        sys.exit("image_run: the worker did not end in 120 s")
    print(f"worker: exit code {container.process.returncode}\n{output.strip()}")
    if container.process.returncode != 0:
        sys.exit(1)


def ask(path, key=None, body=None):
    """Status and JSON of an answer of the gateway."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"http://{PUBLISHED}:8080{path}", json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"image_run: {what}: found {found}, expected {wanted}")


def gateway(root, config, with_worker):
    """The gateway with compose's own gateway.yaml, but for the store; a worker with compose's own addresses does a job for it."""
    with open("deploy/compose/gateway.yaml") as source, open(os.path.join(root, "var/lib/needletail/gateway.yaml"), "w") as target:
        target.write(source.read())
    keys = {f"NEEDLETAIL_{role.upper()}_KEY": f"nt_{role}_{os.urandom(16).hex()}" for role in ("client", "worker", "admin")}
    container = Container(
        root, config, ["gateway", "--config", "/var/lib/needletail/gateway.yaml", "--store", "sqlite:/var/lib/needletail/gateway.db"], keys.items())
    wait_for("http://127.0.0.1:8080/ping", container)
    client = keys["NEEDLETAIL_CLIENT_KEY"]
    expect("/health without a key", ask("/v2/chat/health")[0], 401)
    status, job = ask("/v2/chat/run", client, {"input": {"prompt": "Swifts are", "sampling_params": {"max_tokens": 8, "temperature": 0}}})
    expect("/run", (status, job["status"]), (200, "IN_QUEUE"))
    print(f"gateway: queued {job['id']}; {ask('/v2/chat/health', client)[1]['jobs']}")
    if with_worker:
        with open("deploy/compose/compose.yaml") as file:
            addresses = dict(re.findall(r"(RUNPOD_WEBHOOK_\w+): (\S+)", file.read()))
        environment = {name: url.replace("$$", "$").replace("//gateway:", "//127.0.0.1:") for name, url in addresses.items()}
        environment |= {"RUNPOD_AI_API_KEY": keys["NEEDLETAIL_WORKER_KEY"], "RUNPOD_ENDPOINT_ID": "chat", "PORT_HEALTH": "8001"}
        began = time.monotonic()
        taker = Container(root, config, ["worker"], environment.items())
        while (state := ask(f"/v2/chat/status/{job['id']}", client)[1])["status"] in ("IN_QUEUE", "IN_PROGRESS"):
            if taker.process.poll() is not None or time.monotonic() - began > 120:
                taker.process.kill()
                sys.exit(f"image_run: the worker did not do the job: {state}\n{taker.process.stdout.read()}")
            time.sleep(0.05)
        print(f"gateway and worker: {state['status']} {time.monotonic() - began:.2f} s after the worker's start: {json.dumps(state['output'])[:200]}")
        expect("the job", state["status"], "COMPLETED")
        if not state["output"] or not state["output"][0]["choices"][0]["tokens"]:
            sys.exit("image_run: the job's output holds no text")
        with urllib.request.urlopen(f"http://{PUBLISHED}:8001/health", timeout=10) as answer:
            expect("the worker's /health", answer.status, 200)
        code, output = taker.stop()
        expect(f"the worker's end\n{output}", code, 0)
    code, output = container.stop()
    expect(f"the gateway's end\n{output}", code, 0)


def main():
    if sys.argv[1:] == ["loopback"]:
        return loopback_up()
    root = os.environ["IMAGE_ROOT"]
    with open(os.environ["IMAGE_JSON"]) as file:
        config = json.load(file)["Docker"]["config"]
    names = [name for _, name in socket.if_nameindex()]
    print(f"network: {', '.join(names)}")
    with open(os.path.join(root, "local_model_args.json")) as file:
        model = json.load(file)["MODEL_NAME"]
    serve(root, config, model)
    def has(command):
        shown = subprocess.run(["chroot", root, "/usr/local/bin/needletail", command, "--help"], capture_output=True, text=True).stdout
        return f"USAGE: needletail {command}" in shown

    if has("worker"):
        worker(root, config)
    if has("gateway"):
        gateway(root, config, with_worker=has("worker"))
    for command in ("worker", "gateway"):
        if not has(command):
            print(f"{command}: this binary has no such command; not tried")


main()
