"""Workers of the checks: Runpod's published SDK, one handler for each value of HANDLER.

HANDLER      task (async), blocking, chunks (async generator), blocking_chunks, aggregate (generator, all chunks as output), openai (generator)
CONCURRENCY  jobs at once
RECORD       file for a line of JSON at each start, end and interruption of a job
FITNESS      text of the failure of a fitness check; unset: no check
Tasks are told what to do in their input: {"do": NAME, …}; see the functions named do_….
"""
import asyncio
import inspect
import json
import os
import signal
import sys
import threading
import time

import runpod

WORKER = os.environ.get("RUNPOD_POD_ID", "")
running = most = 0


def record(event, job, **more):
    """Appends a line; lines of several processes do not mix."""
    path = os.environ.get("RECORD")
    if path:
        line = json.dumps({"at": time.time(), "event": event, "job": job["id"], "worker": WORKER, "pid": os.getpid(), **more}) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, line.encode())
        os.close(descriptor)


# ---------------------------------------------------------------------------------------------------------- tasks
async def task(job):
    global running, most
    running += 1
    most = max(most, running)
    record("start", job, running=running)
    try:
        result = TASKS.get(name_of(job), do_echo)(job, job["input"])
        result = await result if inspect.isawaitable(result) else result
    except asyncio.CancelledError:
        record("cancelled", job)
        raise
    except Exception:
        record("raised", job)
        raise
    finally:
        running -= 1
    record("end", job)
    return result


def blocking(job):
    """The same for a handler that cannot be interrupted: it sleeps in earnest."""
    record("start", job)
    time.sleep(job["input"].get("seconds", 0))
    record("end", job)
    return {"at": time.time(), "worker": WORKER}


def name_of(job):
    return job["input"].get("do") if isinstance(job["input"], dict) else None


def do_echo(job, given):
    return {"got": given, "job": {key: value for key, value in job.items() if key not in ("id", "input")}}


async def do_sleep(job, given):
    await asyncio.sleep(given["seconds"])
    return {"at": time.time(), "worker": WORKER, "value": given.get("value"), "most": most}


def do_return(job, given):
    return given["value"]


def do_length(job, given):
    return {"length": len(given["text"])}


def do_raise(job, given):
    raise ValueError(given["message"])


def do_fail_once(job, given):
    """Fails until the file is there, and makes it."""
    if os.path.exists(given["file"]):
        return {"value": "second time"}
    with open(given["file"], "w"):
        pass
    raise ValueError("first time")


async def do_progress(job, given):
    """Reports each value, waiting after it; `late` is reported from a thread once the job is over."""
    for value in given["values"]:
        runpod.serverless.progress_update(job, value)
        await asyncio.sleep(given["seconds"])
    if "late" in given:
        def report():
            time.sleep(1.5)
            runpod.serverless.progress_update(job, given["late"])
            record("late", job)
        threading.Thread(target=report, daemon=True).start()
    return {"value": "final"}


def do_refresh(job, given):
    return {"refresh_worker": True, "worker": WORKER}


def do_exit(job, given):
    sys.stderr.write("the worker gives up: out of luck\n")
    sys.stderr.flush()
    os._exit(given.get("status", 3))


TASKS = {name[3:]: value for name, value in list(globals().items()) if name.startswith("do_")}


# ---------------------------------------------------------------------------------------------------------- chunks
async def chunks(job):
    """Yields `chunks`, waiting `gaps[i]` (or `gap`) seconds before each; raises before chunk `fail_at`; {"time": true} yields the clock."""
    given = job["input"]
    record("start", job)
    try:
        for index, chunk in enumerate(given["chunks"]):
            if index == given.get("fail_at"):
                raise ValueError("broken in mid-stream")
            gaps = given.get("gaps")
            await asyncio.sleep(gaps[index] if gaps else given.get("gap", 0))
            yield {"time": time.time()} if chunk == {"time": True} else chunk
    except (asyncio.CancelledError, GeneratorExit):
        record("cancelled", job)
        raise
    record("end", job)


def blocking_chunks(job):
    for chunk in job["input"]["chunks"]:
        time.sleep(job["input"].get("gap", 0))
        yield chunk


async def aggregate(job):
    async for chunk in chunks(job):
        yield chunk


# ---------------------------------------------------------------------------------------------------------- OpenAI
async def openai(job):
    """Speaks the OpenAI route without a model. What to do is the last message's text, as JSON."""
    given = job["input"]
    body = given.get("openai_input") or {}
    if given.get("openai_route") == "/v1/models":
        yield {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1, "owned_by": "checks"}]}
        return
    script = json.loads(body["messages"][-1]["content"])
    record("start", job)
    if script.get("exit_at") == 0:
        await crash()
    if "error" in script:
        yield {"error": script["error"]}
        return
    if not body.get("stream"):
        yield {"id": "x", "object": "chat.completion", "created": 1, "model": "scripted", "usage": usage(),
               "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(script["texts"])}, "finish_reason": "stop"}]}
        return
    for index, text in enumerate(script["texts"]):
        await asyncio.sleep(script.get("gap", 0))
        if script.get("exit_at") == index:
            await crash()
        yield event({"content": str(time.time()) if text == "time" else text})
    yield event({}, "stop") + "data: [DONE]\n\n"
    record("end", job)


async def crash():
    sys.stderr.write("the engine is out of memory\n")
    sys.stderr.flush()
    await asyncio.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def usage():
    return {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def event(delta, finish=None):
    data = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return "data: " + json.dumps(data, ensure_ascii=False) + "\n\n"


# ---------------------------------------------------------------------------------------------------------- start
if os.environ.get("FITNESS"):
    @runpod.serverless.register_fitness_check
    def check_of_the_licence():
        raise RuntimeError(os.environ["FITNESS"])


if __name__ == "__main__":
    concurrency = int(os.environ.get("CONCURRENCY", "1"))
    config = {"handler": globals()[os.environ.get("HANDLER", "task")]}
    if concurrency > 1:
        config["concurrency_modifier"] = lambda _: concurrency
    if config["handler"] in (aggregate, openai):
        config["return_aggregate_stream"] = True
    if os.environ.get("REFRESH_WORKER"):
        config["refresh_worker"] = True
    runpod.serverless.start(config)
