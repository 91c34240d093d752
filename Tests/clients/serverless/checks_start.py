"""Check 40: how the binary's own worker finds its model, and how it says that it cannot."""
import contextlib
import os
import re
import shlex
import subprocess
import tempfile
import time

import processes
from api import Skip, ensure, equal, eventually
from bench import needs
from gateway import MARK, WORKER_KEY, visitors

PROMPT = {"prompt": "The river ran", "sampling_params": {"max_tokens": 4, "temperature": 0}}
NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class OwnWorker:
    """`needletail worker` started by hand, for an endpoint whose workers come by themselves."""

    def __init__(self, bench, name, variables, root=None):
        base = f"{bench.gateway.base}/v2/c40"
        self.log = bench.path(f"worker-{name}.log")
        environment = {
            "PATH": os.environ["PATH"], "HOME": bench.gateway.home, MARK: bench.gateway.mark, "RUNPOD_POD_ID": "own" + re.sub(r"\W", "", name),
            "RUNPOD_AI_API_KEY": WORKER_KEY, "RUNPOD_ENDPOINT_ID": "c40", "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=0",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=0",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=0", "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=0",
            "HF_HUB_DOWNLOAD_TIMEOUT": "5", **variables}
        command = [os.path.abspath(bench.options.binary), "worker"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(root(command) if root else command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, cwd=bench.gateway.folder)

    def text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the worker does not end within 30 s of SIGTERM") from None
        return self.process.returncode


@contextlib.contextmanager
def private_root(file, content):
    """A command that runs with a root folder of its own, in which one more file lies. Needs to be root, and overlayfs."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = tempfile.gettempdir()
        script = f"""
            mount -t tmpfs none {folder} && mkdir {folder}/upper {folder}/work {folder}/tree
            mount -t overlay overlay -o lowerdir=/,upperdir={folder}/upper,workdir={folder}/work {folder}/tree
            mount --rbind /proc {folder}/tree/proc; mount --rbind /dev {folder}/tree/dev; mount --rbind {temporary} {folder}/tree{temporary}
            printf %s {shlex.quote(content)} > {folder}/tree{file}
            exec chroot {folder}/tree "$@" """

        def wrap(command):
            return ["unshare", "-m", "sh", "-ec", script, "sh", *command]

        if os.geteuid() != 0 or subprocess.run(wrap(["true"]), capture_output=True).returncode != 0:
            raise Skip("a private root folder needs root and overlayfs")
        yield wrap


def answers(bench, name, variables, root=None):
    """Starts a worker, has it do a job, stops it; its log."""
    raw, worker = bench.on("c40"), OwnWorker(bench, name, variables, root)
    try:
        job = raw.run(PROMPT)
        eventually(lambda: raw.state(job) == "COMPLETED" or worker.process.poll() is not None, 60, f"{name}: the job is done")
        equal(worker.process.poll(), None, f"{name}: the worker ended early, log:\n{worker.text()[-1500:]}")
        payload = raw.status(job)
        equal(payload["output"][0]["usage"]["output"], 4, f"{name}: tokens")
        ensure(payload["workerId"] == "own" + re.sub(r"\W", "", name), f"{name}: workerId", payload)
        models = raw.call("GET", "openai/v1/models", timeout=60).ok("models")["data"]
        used = processes.alive(worker.process.pid)
        equal((used, worker.stop()), (True, 0), f"{name}: exit status after SIGTERM")
        return worker.text(), [model["id"] for model in models]
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


def breaks(bench, name, variables, *words):
    """A worker that must end by itself, soon, with exit status 1 and a reason."""
    begin = time.monotonic()
    worker = OwnWorker(bench, name, variables)
    try:
        status = worker.process.wait(20)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
        ensure(False, f"{name}: the worker ends within 20 s", worker.text()[-800:])
    seconds = time.monotonic() - begin
    equal(status, 1, f"{name}: exit status, log:\n{worker.text()[-800:]}")
    ensure(seconds < 15, f"{name}: within seconds", seconds)
    for word in words:
        ensure(word in worker.text(), f"{name}: the log names {word!r}", worker.text()[-800:])


@needs({"c40": visitors()}, model=True)
def check_40_model_places(bench):
    """Worker starts from baked file, from cache with lower-cased directory, from local path; broken model -> exit 1 in seconds with the
    reason; unknown env variables only warn."""
    model = bench.options.model
    unknown = {"VLLM_NO_SUCH_THING": "1", "MAX_MODEL_LENGTH": "7", "SOMETHING_ELSE": "x", "GPU_MEMORY_UTILIZATION": "0.95", "TENSOR_PARALLEL_SIZE": "1"}
    log, names = answers(bench, "local path", {"MODEL_NAME": model, "MAX_MODEL_LEN": "512", **unknown})
    for name in ("VLLM_NO_SUCH_THING", "GPU_MEMORY_UTILIZATION"):
        equal(sum(name in line for line in log.splitlines()), 1, f"lines that warn of {name}")

    base = bench.path("volume")
    snapshot = f"{base}/huggingface-cache/hub/models--{NAME.lower().replace('/', '--')}/snapshots/{REVISION}"
    os.makedirs(snapshot)
    os.makedirs(f"{snapshot}/../../refs")
    with open(f"{snapshot}/../../refs/main", "w") as file:
        file.write(REVISION)
    os.symlink(model, f"{snapshot}/{os.path.basename(model)}")
    _, names = answers(bench, "cache", {"MODEL_NAME": NAME, "BASE_PATH": base, "MAX_MODEL_LEN": "512"})
    equal(names, [NAME], "the served name is as the user wrote it")

    missing = bench.path("nowhere/model.gguf")
    breaks(bench, "missing", {"MODEL_NAME": missing}, missing)
    broken = bench.path("broken.gguf")
    with open(model, "rb") as source, open(broken, "wb") as target:
        target.write(source.read(1 << 20))
    breaks(bench, "truncated", {"MODEL_NAME": broken}, "broken.gguf")
    breaks(bench, "bad value", {"MODEL_NAME": model, "MAX_MODEL_LEN": "many"}, "MAX_MODEL_LEN")

    try:
        with private_root("/local_model_args.json", f'{{"MODEL_NAME": "{model}"}}') as root:
            answers(bench, "baked", {"MODEL_NAME": "never/mind", "MAX_MODEL_LEN": "512"}, root)
        return "baked file included"
    except Skip as reason:
        return f"without the baked file: {reason}"
