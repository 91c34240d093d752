"""A worker that starts in a moment: the protocol's smallest loop on the standard library, one job at a time.

Input: {"seconds": S} to sleep. The answer is {"worker": id, "echo": input}.
"""
import http.client
import json
import os
import signal
import threading
import time
import urllib.parse

WORKER, KEY = os.environ["RUNPOD_POD_ID"], os.environ["RUNPOD_AI_API_KEY"]
stopping = threading.Event()


class Line:
    """One kept connection."""

    def __init__(self, url, timeout=90):
        parts = urllib.parse.urlparse(url)
        self.path = parts.path + "?" + parts.query
        self.connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)

    def call(self, method, path, body=None):
        try:
            self.connection.request(method, path, body, {"Authorization": KEY})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            time.sleep(0.2)
            return 0, b""


def ping_loop(state):
    line = Line(os.environ["RUNPOD_WEBHOOK_PING"], 20)
    interval = max(1, int(os.environ.get("RUNPOD_PING_INTERVAL", "10000")) // 1000)
    while True:
        job = state.get("job")
        line.call("GET", line.path + (f"&job_id={job}" if job else ""))
        time.sleep(interval)


def run(job, done):
    given = job["input"] if isinstance(job["input"], dict) else {}
    time.sleep(given.get("seconds", 0))
    body = json.dumps({"output": {"worker": WORKER, "echo": job["input"]}})
    path = done.path.replace("$ID", job["id"]) + "&isStream=false"
    while done.call("POST", path, body)[0] not in range(200, 500):
        pass


def main():
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    state = {}
    threading.Thread(target=ping_loop, args=(state,), daemon=True).start()
    take = Line(os.environ["RUNPOD_WEBHOOK_GET_JOB"].replace("$ID", WORKER))
    done = Line(os.environ["RUNPOD_WEBHOOK_POST_OUTPUT"].replace("$RUNPOD_POD_ID", WORKER))
    while not stopping.is_set():
        begin = time.monotonic()
        status, body = take.call("GET", take.path + "&job_in_progress=0")
        if status == 200:
            job = json.loads(body)
            state["job"] = job["id"]
            run(job, done)
            state.pop("job")
        elif status == 429:
            stopping.wait(5)
        elif time.monotonic() - begin < 0.1:
            stopping.wait(0.1)


main()
