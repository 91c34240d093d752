"""Checks 33 to 39, and 41: OpenAI's client and the native input, against the binary's own worker with a small model."""
import json
import re
import time

import requests

import processes
from api import between, ensure, equal, eventually
from bench import needs
from gateway import ADMIN_KEY, llm, sdk

# MODEL is filled in by the runner.
WORKER = {"MODEL_NAME": "MODEL", "MAX_MODEL_LEN": "2048", "MAX_CONCURRENCY": "8", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "smollm2"}
SMOL = {"smol": llm(WORKER)}
SCRIPTED = {"scripted": sdk("openai", concurrency=4, maxRetries=0)}
PROMPT = "The river ran down from the hills to the sea. The river ran"
GREEDY = {"temperature": 0}


def chat(text):
    return [{"role": "user", "content": text}]


def script(**what):
    """A chat that tells the scripted worker what to do."""
    return {"model": "scripted", "messages": chat(json.dumps(what))}


def warm(bench, name):
    """Waits until the endpoint's worker answers."""
    bench.on(name).call("GET", "openai/v1/models", timeout=120).ok("models")


def refusal(call):
    """Status and error object of a call that the official client must refuse with an APIStatusError."""
    import openai
    try:
        answer = call()
        if hasattr(answer, "__iter__") and not hasattr(answer, "choices"):
            list(answer)
    except openai.APIStatusError as error:
        return error.status_code, error.body
    ensure(False, "the call is refused", answer)


def sse(bench, name, body, path="chat/completions"):
    """Blocks of an event stream as they came: (seconds, text)."""
    begin = time.time()
    with requests.post(f"{bench.gateway.base}/v2/{name}/openai/v1/{path}", json=body, stream=True, timeout=120,
                       headers={"Authorization": f"Bearer {bench.api.key}"}) as response:
        equal(response.status_code, 200, "HTTP status of a stream")
        ensure(response.headers["Content-Type"].startswith("text/event-stream"), "content type", response.headers["Content-Type"])
        blocks, rest = [], b""
        for piece in response.iter_content(None):
            rest += piece
            *whole, rest = rest.split(b"\n\n")
            blocks += [(time.time() - begin, block.decode()) for block in whole]
        equal(rest, b"", "bytes after the last event")
        return blocks


def events(blocks):
    """The JSON of the events; checks that nothing else is there but comments, and [DONE] at the end."""
    lines = [line for _, block in blocks for line in block.split("\n") if not line.startswith(":") and line]
    ensure(all(line.startswith("data: ") for line in lines), "only data lines and comments", lines)
    equal(lines[-1], "data: [DONE]", "last line")
    return [json.loads(line[6:]) for line in lines[:-1]]


@needs(SMOL, model=True)
def check_33_openai(bench):
    """`models.list()`, chat and completions non-stream through `/openai/v1` parse with the official client."""
    client = bench.openai("smol")
    ensure("smollm2" in [m.id for m in client.models.list()], "the model is listed")
    answer = client.chat.completions.create(model="smollm2", messages=chat("Say hello."), max_tokens=12, temperature=0)
    equal((answer.object, answer.choices[0].message.role), ("chat.completion", "assistant"), "object and role")
    ensure(answer.choices[0].message.content and answer.choices[0].finish_reason in ("stop", "length"), "content", answer)
    ensure(0 < answer.usage.completion_tokens <= 12 and answer.usage.prompt_tokens > 0, "usage", answer.usage)
    answer = client.completions.create(model="smollm2", prompt=PROMPT, max_tokens=8, temperature=0)
    equal((answer.object, answer.choices[0].finish_reason, answer.usage.completion_tokens), ("text_completion", "length", 8), "completion")
    ensure(answer.choices[0].text, "text")
    two = client.completions.create(model="smollm2", prompt=PROMPT, max_tokens=8, n=2, seed=1, temperature=0.9)
    equal([c.index for c in two.choices], [0, 1], "choices with n=2")


@needs({**SMOL, **SCRIPTED}, model=True, quiet=True)
def check_34_streamed_chat(bench):
    """Streamed chat: more than 1 event, valid SSE, `[DONE]` last, non-ASCII text intact, first token relayed within 100 ms of the worker's post."""
    warm(bench, "smol")
    body = {"model": "smollm2", "messages": chat("Count to twenty."), "max_tokens": 40, "stream": True, **GREEDY, "stream_options": {"include_usage": True}}
    blocks = sse(bench, "smol", body)
    found = events(blocks)
    text = "".join(c["delta"].get("content") or "" for e in found for c in e["choices"])
    ensure(len(found) > 5, "several events", len(found))
    ensure(blocks[-1][0] - blocks[0][0] > 0.05, "they come one after another", [at for at, _ in blocks])
    plain = bench.openai("smol").chat.completions.create(model="smollm2", messages=chat("Count to twenty."), max_tokens=40, temperature=0)
    equal(text, plain.choices[0].message.content, "text of the stream")
    equal(found[-1]["usage"]["completion_tokens"], plain.usage.completion_tokens, "usage of the stream")
    found = events(sse(bench, "smol", {"model": "smollm2", "prompt": "é è é è é è é è", "max_tokens": 24, "stream": True, **GREEDY}, "completions"))
    text = "".join(c["text"] for e in found for c in e["choices"])
    ensure("é" in text and "è" in text and "\ufffd" not in text, "non-ASCII text of the model", text)

    warm(bench, "scripted")
    texts = ["日本語", " 😀é", "\u2028", "\"\\\n", "ß"]
    client = bench.openai("scripted")
    stream = client.chat.completions.create(stream=True, **script(texts=texts, gap=0.05))
    equal([c.choices[0].delta.content for c in stream if c.choices[0].delta.content], texts, "scripted texts by the official client")
    delays = []
    for _ in range(7):
        for chunk in client.chat.completions.create(stream=True, **script(texts=["time"] * 3, gap=0.1)):
            if content := chunk.choices[0].delta.content:
                delays.append(time.time() - float(content))
    firsts = sorted(delays[::3])
    ensure(firsts[len(firsts) // 2] < 0.1, "first token within 100 ms of the worker's post (median of 7)", delays)
    return f"{len(blocks)} events; relayed in {sorted(delays)[len(delays) // 2] * 1000:.0f} ms, at most {max(delays) * 1000:.0f} ms"


@needs({**SMOL, **SCRIPTED}, model=True)
def check_35_openai_errors(bench):
    """Wrong model or bad parameter -> 4xx with an OpenAI error object (not 200); worker crash -> 5xx with message."""
    import openai
    warm(bench, "smol")
    client = bench.openai("smol")
    good = {"model": "smollm2", "messages": chat("Hello"), "max_tokens": 4}
    for wrong in ({"model": "nobody"}, {"temperature": 9}, {"max_tokens": -1}, {"messages": []}, {"top_p": "all"}):
        for stream in (False, True):
            status, error = refusal(lambda: client.chat.completions.create(**{**good, **wrong, "stream": stream}))
            ensure(400 <= status < 500, f"{wrong}, stream {stream}: a status of the client's fault", status)
            ensure(isinstance(error, dict) and isinstance(error.get("message"), str) and error.get("type"), f"{wrong}: an error object", error)
    equal(refusal(lambda: client.chat.completions.create(**{**good, "model": "nobody"}))[0], 404, "status of a wrong model")
    ensure(400 <= bench.on("smol").call("POST", "openai/v1/nonsense", {}, timeout=60).status < 500, "an unknown route")
    for data in (b"{", b"[]"):
        answer = bench.on("smol").call("POST", "openai/v1/chat/completions", data=data)
        equal(answer.status, 400, f"status of the body {data!r}")
        ensure(answer.json["error"]["message"], "an error object", answer.json)

    scripted = bench.openai("scripted")
    warm(bench, "scripted")
    status, error = refusal(lambda: scripted.chat.completions.create(**script(error={"message": "too much of it", "type": "x", "code": 422})))
    equal((status, error["message"]), (422, "too much of it"), "an error object of the worker")
    status, error = refusal(lambda: scripted.chat.completions.create(**script(error={"message": "no code"})))
    equal((status, error["message"]), (500, "no code"), "an error object without a status")
    status, error = refusal(lambda: scripted.chat.completions.create(**script(texts=["a"], exit_at=0)))
    ensure(status >= 500 and error["message"], "a worker that crashes", (status, error))
    stream, texts = scripted.chat.completions.create(stream=True, **script(texts=["a", "b", "c"], gap=0.3, exit_at=2)), []
    try:
        for chunk in stream:
            texts.append(chunk.choices[0].delta.content)
        ensure(False, "a stream whose worker crashes ends with an error", texts)
    except openai.APIError as failure:
        ensure(failure.message, "error event with a message", failure)
    equal(texts, ["a", "b"], "texts before the crash")
    return str(error["message"])


@needs({"c36": llm({**WORKER, "MAX_CONCURRENCY": "1", "MAX_MODEL_LEN": "8192"})}, model=True, quiet=True)
def check_36_hang_up(bench):
    """Client hang-up during a stream -> generation aborted, sequence slot freed within 1 s."""
    warm(bench, "c36")
    raw, url = bench.on("c36"), f"{bench.gateway.base}/v2/c36/openai/v1/completions"
    long = {"model": "smollm2", "prompt": PROMPT, "max_tokens": 6000, "ignore_eos": True, **GREEDY}
    pid, waits = bench.gateway.worker_pid("c36"), []
    for stream in (True, False):
        if stream:
            response = requests.post(url, json={**long, "stream": True}, stream=True, timeout=60, headers={"Authorization": bench.api.key})
            lines = response.iter_lines()
            for _ in range(10):
                next(lines)
            response.close()
        else:
            try:
                requests.post(url, json=long, timeout=1.5, headers={"Authorization": bench.api.key})
                ensure(False, "6000 tokens take more than 1.5 s")
            except requests.exceptions.ReadTimeout:
                pass
        begin = time.monotonic()
        eventually(lambda: raw.health()["jobs"]["inProgress"] == 0, 1, f"no job in progress (stream {stream})", every=0.02)
        # One sequence at a time: this one runs as soon as the slot is free.
        bench.openai("c36").completions.create(model="smollm2", prompt="a", max_tokens=1)
        waits.append(time.monotonic() - begin)
        between(waits[-1], 0, 1, f"seconds until the next request is answered (stream {stream})")
        used = processes.cpu_seconds(pid)
        time.sleep(1)
        between(processes.cpu_seconds(pid) - used, 0, 0.3, "seconds of CPU that the worker uses in the second afterwards")
    return f"next request answered after {waits[0]:.2f} s, {waits[1]:.2f} s"


def native(bench, input, name="smol"):
    body = bench.on(name).runsync(input)
    equal(body["status"], "COMPLETED", f"state ({body.get('error')})")
    ensure(isinstance(body["output"], list), "output is a list", body)
    return body["output"]


@needs(SMOL, model=True)
def check_37_native(bench):
    """Native A shape: `choices[0].tokens`, `usage.input/output`, list output; `messages`, `prompt`, `apply_chat_template`, `n=2`."""
    warm(bench, "smol")
    greedy = {"max_tokens": 16, "temperature": 0}
    client = bench.openai("smol")
    output = native(bench, {"prompt": PROMPT, "sampling_params": greedy})
    wanted = client.completions.create(model="smollm2", prompt=PROMPT, max_tokens=16, temperature=0)
    equal(output, [{"choices": [{"tokens": [wanted.choices[0].text]}], "usage": {"input": wanted.usage.prompt_tokens, "output": 16}}], "prompt")
    by_messages = native(bench, {"messages": chat("Say hello."), "sampling_params": greedy})
    wanted = client.chat.completions.create(model="smollm2", messages=chat("Say hello."), max_tokens=16, temperature=0)
    equal(by_messages[0]["choices"][0]["tokens"], [wanted.choices[0].message.content], "messages")
    equal(by_messages[0]["usage"]["input"], wanted.usage.prompt_tokens, "usage.input of messages")
    templated = native(bench, {"prompt": "Say hello.", "apply_chat_template": True, "sampling_params": greedy})
    equal(templated, by_messages, "apply_chat_template")
    both = native(bench, {"messages": chat("Say hello."), "prompt": "never mind", "sampling_params": greedy})
    equal(both, by_messages, "messages win over prompt")
    two = native(bench, {"prompt": PROMPT, "sampling_params": {"max_tokens": 5, "n": 2, "temperature": 1, "seed": 3, "ignore_eos": True}})
    equal([len(c["tokens"]) for c in two[0]["choices"]], [1, 1], "texts of two choices")
    equal(two[0]["usage"]["output"], 10, "usage.output of two choices")
    default = native(bench, {"prompt": PROMPT, "sampling_params": {"ignore_eos": True, "temperature": 0}})
    equal(default[0]["usage"]["output"], 100, "tokens where max_tokens is not given")

    raw = bench.on("smol")
    job = raw.run({"prompt": PROMPT, "stream": True, "sampling_params": greedy})
    chunks, state = raw.drained(job)
    equal(state, "COMPLETED", "state")
    equal(raw.status(job)["output"], chunks, "output of a stream: all its chunks")
    equal("".join(t for chunk in chunks for t in chunk["choices"][0]["tokens"]), output[0]["choices"][0]["tokens"][0], "text of the stream")
    counts = [chunk["usage"]["output"] for chunk in chunks]
    equal((counts, counts[-1]), (sorted(counts), 16), "usage.output grows to 16")
    bad = raw.runsync({"prompt": PROMPT, "sampling_params": {"temperature": 0, "no_such_parameter": 1}})
    equal(bad["status"], "FAILED", "state with an unknown sampling parameter")
    ensure("no_such_parameter" in bad["error"], "error names the parameter", bad)


SPELLINGS = {"DEFAULT_BATCH_SIZE": "8", "DEFAULT_MIN_BATCH_SIZE": "2", "DEFAULT_BATCH_SIZE_GROWTH_FACTOR": "2"}


@needs({**SMOL, "c38": llm({**WORKER, **SPELLINGS, "MIN_BATCH_SIZE": "5"}),
        "c38code": llm({**WORKER, "DEFAULT_BATCH_SIZE": "8", "MIN_BATCH_SIZE": "2", "BATCH_SIZE_GROWTH_FACTOR": "2"})}, model=True)
def check_38_batching(bench):
    """Batching vector 1,3,9,27,50,10 for 100 updates; per-request sizes override; both env spellings work."""
    def sizes(count, name="smol", **more):
        raw = bench.on(name)
        job = raw.run({"prompt": PROMPT, "stream": True, "sampling_params": {"max_tokens": count, "ignore_eos": True, "temperature": 0}, **more})
        chunks, state = raw.drained(job, 120)
        equal(state, "COMPLETED", "state")
        return [len(chunk["choices"][0]["tokens"]) for chunk in chunks]

    equal(sizes(100), [1, 3, 9, 27, 50, 10], "sizes of the chunks for 100 updates")
    equal(sizes(30, min_batch_size=2, batch_size_growth_factor=2, max_batch_size=8), [2, 4, 8, 8, 8], "sizes of the request's own")
    equal(sizes(25, batch_size_growth_factor=1, max_batch_size=10), [10, 10, 5], "without growth")
    equal(sizes(12, max_batch_size=1), [1] * 12, "max_batch_size 1")
    equal(sizes(30, max_batch_size=0, min_batch_size=None), [1, 3, 9, 17], "0 and null fall back to the default")
    equal(sizes(30, "c38"), [2, 4, 8, 8, 8], "by the documented variables, which win over the code's")
    equal(sizes(30, "c38code"), [2, 4, 8, 8, 8], "by the variables that the code reads")


@needs({**SMOL, "c39": llm({**WORKER, "NEEDLETAIL_NATIVE_OUTPUT": "openai"})}, model=True)
def check_39_input_forms(bench):
    """All four input forms of 6.6 work; missing input keys -> clear error; `stream` true and false."""
    greedy = {"max_tokens": 10, "temperature": 0}
    openai_input = {"model": "smollm2", "messages": chat("Say hello."), **greedy}
    wanted = None
    for name in ("c39", "smol"):
        warm(bench, name)
        raw = bench.on(name)
        answer = native(bench, {"openai_route": "/v1/chat/completions", "openai_input": openai_input}, name)[0]
        equal(answer["object"], "chat.completion", f"{name}: openai_input")
        wanted = answer["choices"][0]["message"]["content"]
        equal(native(bench, {"openai_route": "/v1/models"}, name)[0]["object"], "list", f"{name}: openai_route alone")
        job = raw.run({"openai_route": "/v1/chat/completions", "openai_input": {**openai_input, "stream": True}})
        chunks, state = raw.drained(job)
        equal(state, "COMPLETED", "state of a stream")
        ensure(all(isinstance(chunk, str) and chunk.endswith("\n\n") for chunk in chunks), f"{name}: chunks are whole events", chunks)
        found = events([(0, "".join(chunks))])
        equal("".join(c["delta"].get("content") or "" for e in found for c in e["choices"]), wanted, f"{name}: text of the stream")
        for input in ({}, {"nothing": 1}, {"sampling_params": {}}):
            body = raw.runsync(input)
            equal(body["status"], "FAILED", f"{name}: state without input keys")
            ensure("prompt" in body["error"] and "messages" in body["error"], f"{name}: an error that names the keys", body)

    raw = bench.on("c39")
    answer = native(bench, {"openai_input": openai_input}, "c39")[0]
    equal(answer["choices"][0]["message"]["content"], wanted, "openai_input without a route is a chat")
    answer = native(bench, {"route": "/v1/models"}, "c39")[0]
    equal(answer["object"], "list", "route without a body is a GET")
    answer = native(bench, {"route": "/v1/chat/completions", "body": openai_input}, "c39")[0]
    equal(answer["choices"][0]["message"]["content"], wanted, "route with a body is a POST")
    answer = native(bench, {"messages": chat("Say hello."), "sampling_params": greedy}, "c39")[0]
    equal((answer["object"], answer["choices"][0]["message"]["content"]), ("chat.completion", wanted), "messages")
    answer = native(bench, {"prompt": PROMPT, "sampling_params": greedy}, "c39")[0]
    equal((answer["object"], answer["usage"]["completion_tokens"]), ("text_completion", 10), "prompt")
    job = raw.run({"prompt": PROMPT, "stream": True, "sampling_params": greedy})
    chunks, _ = raw.drained(job)
    found = events([(0, "".join(chunks))])
    equal("".join(c["text"] for e in found for c in e["choices"]), answer["choices"][0]["text"], "prompt, streamed")


@needs({"c41": llm(WORKER), "c41gathered": llm(WORKER, proxied=True)}, model=True, quiet=True)
def check_41_long_post(bench):
    """Not of the reference: our worker sends a stream in one request, and behind a proxy that gathers request bodies in many, nothing held back."""
    def posts():
        page = requests.get(f"{bench.gateway.base}/metrics", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30).text
        return sum(float(count) for count in re.findall(r'needletail_gateway_http_requests_total\{operation="job-stream"[^}]*\} (\S+)', page))

    def stream(name):
        """Text, requests that it took, longest time between two events."""
        before = posts()
        blocks = sse(bench, name, {"model": "smollm2", "prompt": PROMPT, "max_tokens": 200, "ignore_eos": True, "stream": True, **GREEDY}, "completions")
        waits = [b - a for (a, _), (b, _) in zip(blocks, blocks[1:])]
        return "".join(event["choices"][0]["text"] for event in events(blocks)), posts() - before, max(waits)

    one, first = [], None
    for name in ("c41", "c41gathered"):
        warm(bench, name)
        # The first stream may be over before the request is open.
        first, _, _ = stream(name)
        text, count, wait = stream(name)
        equal(text, first, "text")
        one.append((text, count))
        between(wait, 0, 2, f"seconds between two events ({name})")
    equal(one[0][0], one[1][0], "text, in one request and in many")
    between(one[0][1], 0, 3, "requests for a stream of 200 tokens")
    between(one[1][1], 4, 300, "requests for it through the proxy")
    return f"{one[0][1]:.0f} and {one[1][1]:.0f} requests"
