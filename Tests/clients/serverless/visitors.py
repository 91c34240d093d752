"""Workers started by hand for endpoints whose workers come by themselves: each knows one gateway, and no other."""
import os
import signal
import subprocess
import sys

from gateway import HERE, MARK, WORKER_KEY


class Visitor:
    """A worker's process. Without a command it is `handlers.py` on the published SDK."""

    def __init__(self, gateway, endpoint, name, command=None, key=WORKER_KEY, **variables):
        base = f"{gateway.base}/v2/{endpoint}"
        self.name, self.log = name, os.path.join(gateway.folder, f"visitor-{name}.log")
        environment = {
            "PATH": os.environ["PATH"], "HOME": gateway.home, MARK: gateway.mark, "RECORD": gateway.record_path(endpoint), "RUNPOD_POD_ID": name,
            "RUNPOD_AI_API_KEY": key, "RUNPOD_ENDPOINT_ID": endpoint, "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=0",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=0",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=0", "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=0",
            "RUNPOD_PING_INTERVAL": "2000", "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true", "RUNPOD_SKIP_GPU_CHECK": "true", **variables}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command or [sys.executable, os.path.join(HERE, "handlers.py")], env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, cwd=gateway.folder)

    def kill(self):
        """The SDK's worker has a child for its pings: the whole group goes."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
