"""The checks of openai_client.py, in the order in which they run."""
import asyncio
import json
import threading
import time

import openai

from openai_support import (CHAT, CHECKS, GREEDY, PROMPT, Skip, check, drain_chat, drain_text, equal, expect, refused,
                            usage_adds_up)


# ------------------------------------------------------------------------------------------------ plain requests
@check
def models_list(s):
    d = s.client.models.list()
    equal(d.object, "list", "object")
    ids = [m.id for m in d.data]
    expect(s.model in ids, "model not listed", ids)
    m = d.data[ids.index(s.model)]
    equal(m.object, "model", "object of the entry")
    expect(isinstance(m.created, int) and m.owned_by, "created / owned_by", m)


@check
def completion_string(s):
    r = s.complete()
    equal(r.object, "text_completion", "object")
    expect(r.id.startswith("cmpl-"), "id", r.id)
    equal(r.model, s.model, "model")
    expect(abs(r.created - time.time()) < 3600, "created", r.created)
    equal([c.index for c in r.choices], [0], "indices")
    expect(r.choices[0].text, "empty text")
    equal(r.choices[0].finish_reason, "length", "finish_reason")
    expect(r.choices[0].logprobs is None, "logprobs without asking")
    usage_adds_up(r.usage, 16)
    equal(s.complete().choices[0].text, r.choices[0].text, "the same at temperature 0")


@check
def completion_list_of_strings(s):
    prompts = [PROMPT, "One, two, three,", "Roses are red,"]
    r = s.complete(prompts)
    equal([c.index for c in r.choices], [0, 1, 2], "indices")
    alone = [s.complete(p) for p in prompts]
    equal([c.text for c in r.choices], [a.choices[0].text for a in alone], "texts as alone")
    equal(r.usage.prompt_tokens, sum(a.usage.prompt_tokens for a in alone), "prompt_tokens")
    usage_adds_up(r.usage, 48)


@check
def completion_token_ids(s):
    ids = s.tokens(PROMPT)
    want = s.complete()
    r = s.complete(ids)
    equal(r.choices[0].text, want.choices[0].text, "ids and text")
    equal(r.usage.prompt_tokens, len(ids), "prompt_tokens")
    two = s.complete([ids, ids[:5]])
    equal(two.choices[0].text, want.choices[0].text, "ids in a list")
    equal([c.index for c in two.choices], [0, 1], "indices")
    equal(two.usage.prompt_tokens, len(ids) + 5, "prompt_tokens of the list")


@check
def completion_default_length(s):
    r = s.client.completions.create(model=s.model, prompt=PROMPT, **GREEDY)
    usage_adds_up(r.usage, 16)
    equal(r.choices[0].finish_reason, "length", "finish_reason")


@check
def completion_echo(s):
    r = s.complete(echo=True, max_tokens=4)
    expect(r.choices[0].text.startswith(PROMPT), "text does not begin with the prompt", r.choices[0].text)
    equal(r.choices[0].text[len(PROMPT):], s.complete(max_tokens=4).choices[0].text, "text behind the prompt")
    r = s.complete(echo=True, max_tokens=0, logprobs=1)
    equal(r.choices[0].text, PROMPT, "echo alone")
    lp = r.choices[0].logprobs
    equal(len(lp.tokens), r.usage.prompt_tokens, "tokens scored")
    expect(lp.token_logprobs[0] is None and all(v <= 0 for v in lp.token_logprobs[1:]), "prompt logprobs", lp.token_logprobs)
    expect(r.usage.completion_tokens in (0, 1), "completion_tokens", r.usage)    # vLLM computes one and counts it


@check
def chat_plain(s):
    r = s.chat()
    equal(r.object, "chat.completion", "object")
    expect(r.id.startswith("chatcmpl-"), "id", r.id)
    equal(r.model, s.model, "model")
    c = r.choices[0]
    equal((c.index, c.message.role, c.finish_reason), (0, "assistant", "length"), "choice")
    expect(c.message.content, "empty content")
    expect(not c.message.tool_calls and c.logprobs is None, "tool calls or logprobs without asking")
    usage_adds_up(r.usage, 16)
    equal(s.chat().choices[0].message.content, c.message.content, "the same at temperature 0")
    usage_adds_up(s.chat(max_completion_tokens=7).usage, 7)


@check
def chat_roles_and_parts(s):
    whole = s.chat([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}])
    parts = s.chat([{"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "Say hello."}]}])
    equal(parts.choices[0].message.content, whole.choices[0].message.content, "content as parts")
    turns = s.chat([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"},
                    {"role": "user", "content": "Say hello."}])
    expect(turns.usage.prompt_tokens > s.chat([{"role": "user", "content": "Say hello."}]).usage.prompt_tokens,
           "earlier turns are not in the prompt")


# ------------------------------------------------------------------------------------------------ streams
@check
def completion_stream(s):
    want = s.complete(max_tokens=24).choices[0].text
    text, finish, chunks = drain_text(s.complete(max_tokens=24, stream=True))
    equal(text, {0: want}, "streamed text")
    equal(finish, {0: "length"}, "finish")
    expect(len(chunks) > 3, "not streamed in parts", len(chunks))
    equal({c.object for c in chunks}, {"text_completion"}, "object")
    equal(len({(c.id, c.created, c.model) for c in chunks}), 1, "one id, created and model in all chunks")
    expect(all(c.choices and not c.usage for c in chunks), "usage without asking")


@check
def completion_stream_usage(s):
    want = s.complete().usage
    _, _, chunks = drain_text(s.complete(stream=True, stream_options={"include_usage": True}))
    equal(chunks[-1].choices, [], "choices of the last chunk")
    equal(chunks[-1].usage.total_tokens, want.total_tokens, "total_tokens")
    usage_adds_up(chunks[-1].usage, 16)
    expect(all(c.choices and not c.usage for c in chunks[:-1]), "usage in an earlier chunk")
    opts = {"include_usage": True, "continuous_usage_stats": True}
    _, _, chunks = drain_text(s.complete(stream=True, stream_options=opts))
    n = [c.usage.completion_tokens for c in chunks]
    expect(n == sorted(n) and n[-1] == 16, "continuous usage", n)


@check
def chat_stream(s):
    want = s.chat(max_tokens=24)
    text, finish, chunks = drain_chat(s.chat(max_tokens=24, stream=True, stream_options={"include_usage": True}))
    first, last, usage = chunks[0], chunks[-2], chunks[-1]
    equal(first.choices[0].delta.role, "assistant", "role of the first chunk")
    equal(first.choices[0].delta.content, "", "content of the first chunk")
    expect(first.choices[0].finish_reason is None, "finish in the first chunk")
    expect(all(c.choices[0].delta.role is None for c in chunks[1:-1]), "role in a later chunk")
    equal(last.choices[0].finish_reason, "length", "finish_reason of the last chunk but one")
    equal(usage.choices, [], "choices of the usage chunk")
    equal(usage.usage.total_tokens, want.usage.total_tokens, "usage")
    usage_adds_up(usage.usage, 24)
    expect(all(not c.usage for c in chunks[:-1]), "usage in an earlier chunk")
    expect(len(chunks) > 5, "not streamed in parts", len(chunks))
    equal(text, {0: want.choices[0].message.content}, "streamed text")
    equal({c.object for c in chunks}, {"chat.completion.chunk"}, "object")
    equal(len({(c.id, c.created, c.model) for c in chunks}), 1, "one id, created and model in all chunks")
    _, finish, chunks = drain_chat(s.chat(stream=True))
    expect(all(c.choices for c in chunks), "usage chunk without asking")
    equal(finish, {0: "length"}, "finish")


@check
def chat_stream_helper(s):
    full = s.chat().choices[0].message.content
    stop = full[8:12]                           # the helper raises on a stop for length, so end at a string
    want = full[:full.index(stop)]
    kw = {"max_tokens": 16, "stop": stop, **GREEDY}
    with s.client.chat.completions.stream(model=s.model, messages=CHAT, **kw) as stream:
        deltas = "".join(e.delta for e in stream if e.type == "content.delta")
        final = stream.get_final_completion()
    equal(deltas, want, "content.delta events")
    equal(final.choices[0].message.content, want, "final completion")
    equal(final.choices[0].finish_reason, "stop", "finish_reason")


@check
def stream_headers(s):
    r = s.client.completions.with_raw_response.create(model=s.model, prompt=PROMPT, max_tokens=2, stream=True)
    expect(r.headers["content-type"].startswith("text/event-stream"), "content type", r.headers["content-type"])
    drain_text(r.parse())
    r = s.client.completions.with_raw_response.create(model=s.model, prompt=PROMPT, max_tokens=2)
    expect(r.headers["content-type"].startswith("application/json"), "content type", r.headers["content-type"])


# ------------------------------------------------------------------------------------------------ logprobs
@check
def completion_logprobs(s):
    r = s.complete(logprobs=3)
    lp, text = r.choices[0].logprobs, r.choices[0].text
    n = r.usage.completion_tokens
    equal((len(lp.tokens), len(lp.token_logprobs), len(lp.top_logprobs), len(lp.text_offset)), (n,) * 4, "lengths")
    equal("".join(lp.tokens), text, "tokens joined")
    equal(lp.text_offset, [len("".join(lp.tokens[:i])) for i in range(n)], "text_offset")
    for tok, v, top in zip(lp.tokens, lp.token_logprobs, lp.top_logprobs):
        expect(v <= 0 and all(x <= 0 for x in top.values()), "logprob above 0", v, top)
        expect(len(top) in (3, 4) and abs(top[tok] - v) < 1e-6, "top_logprobs hold the token and the 3 best", tok, v, top)
        equal(max(top.values()), v, "greedy choice is the best")
    equal(text, s.complete().choices[0].text, "the text does not depend on logprobs")
    lp = s.complete(logprobs=0).choices[0].logprobs
    equal(len(lp.token_logprobs), n, "logprobs=0 gives the chosen tokens'")
    expect(all(t is None or len(t) == 1 for t in lp.top_logprobs), "no others with logprobs=0", lp.top_logprobs)


@check
def chat_logprobs(s):
    r = s.chat(logprobs=True, top_logprobs=3)
    items, text = r.choices[0].logprobs.content, r.choices[0].message.content
    equal(len(items), r.usage.completion_tokens, "length")
    equal(b"".join(bytes(i.bytes) for i in items).decode(errors="replace"), text, "bytes joined")
    for i in items:
        equal(len(i.top_logprobs), 3, "top_logprobs")
        expect(i.logprob <= 0 and all(t.logprob <= 0 for t in i.top_logprobs), "logprob above 0", i)
        values = [t.logprob for t in i.top_logprobs]
        equal(values, sorted(values, reverse=True), "best first")
        equal((i.top_logprobs[0].token, values[0]), (i.token, i.logprob), "greedy choice is the best")
    plain = s.chat(logprobs=True).choices[0].logprobs.content
    expect(all(i.top_logprobs == [] for i in plain), "top_logprobs without asking", plain[0])
    for a, b in zip(plain, items):
        expect(abs(a.logprob - b.logprob) < 1e-3, "the same values again", a.logprob, b.logprob)


@check
def stream_logprobs(s):
    want = s.complete(logprobs=2).choices[0].logprobs
    _, _, chunks = drain_text(s.complete(logprobs=2, stream=True))
    got = [c.choices[0].logprobs for c in chunks if c.choices and c.choices[0].logprobs]
    equal(sum((g.tokens for g in got), []), want.tokens, "completion tokens")
    equal(sum((g.text_offset for g in got), []), want.text_offset, "text_offset")
    want = s.chat(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    _, _, chunks = drain_chat(s.chat(logprobs=True, top_logprobs=2, stream=True))
    got = sum((c.choices[0].logprobs.content for c in chunks if c.choices and c.choices[0].logprobs), [])
    equal([g.token for g in got], [w.token for w in want], "chat tokens")
    expect(all(abs(g.logprob - w.logprob) < 1e-3 and len(g.top_logprobs) == 2 for g, w in zip(got, want)), "values")


# ------------------------------------------------------------------------------------------------ sampling
HOT = {"temperature": 1.0, "top_p": 1.0, "extra_body": {"ignore_eos": True, "top_k": -1, "min_p": 0}}


@check
def seed_repeats(s):
    a, b = (s.complete(seed=42, **HOT).choices[0].text for _ in range(2))
    equal(b, a, "the same seed")
    expect(len({s.complete(seed=i, **HOT).choices[0].text for i in range(4)}) > 1, "four seeds, one text")
    expect(len({s.complete(**HOT).choices[0].text for i in range(4)}) > 1, "four runs without a seed, one text")
    a, b = (s.chat(seed=42, **HOT).choices[0].message.content for _ in range(2))
    equal(b, a, "the same seed, chat")


@check
def several_choices(s):
    r = s.complete(n=3, seed=7, **HOT)
    equal([c.index for c in r.choices], [0, 1, 2], "indices")
    texts = [c.text for c in r.choices]
    expect(len(set(texts)) > 1, "three samples, one text", texts)
    equal([c.text for c in s.complete(n=3, seed=7, **HOT).choices], texts, "the same seed")
    usage_adds_up(r.usage, 48)
    r = s.complete([PROMPT, "One, two,"], n=2, seed=7, **HOT)
    equal([c.index for c in r.choices], [0, 1, 2, 3], "index is prompt * n + sample")
    r = s.chat(n=2, seed=7, **HOT)
    equal([c.index for c in r.choices], [0, 1], "indices, chat")
    expect(r.choices[0].message.content != r.choices[1].message.content, "two samples, one text")


@check
def several_choices_are_seeds(s):
    r = s.complete(n=3, seed=7, **HOT)
    equal([c.text for c in r.choices], [s.complete(seed=7 + i, **HOT).choices[0].text for i in range(3)], "sample i is seed + i")


@check
def several_choices_stream(s):
    want = {c.index: c.text for c in s.complete(n=3, seed=7, **HOT).choices}
    text, finish, _ = drain_text(s.complete(n=3, seed=7, stream=True, **HOT))
    equal((text, finish), (want, {i: "length" for i in range(3)}), "completions")
    want = {c.index: c.message.content for c in s.chat(n=2, seed=7, **HOT).choices}
    text, finish, chunks = drain_chat(s.chat(n=2, seed=7, stream=True, **HOT))
    equal((text, finish), (want, {0: "length", 1: "length"}), "chat")
    equal([(c.index, c.delta.role) for ch in chunks[:2] for c in ch.choices][:2], [(0, "assistant"), (1, "assistant")], "role chunks first")


@check
def logit_bias(s):
    want = s.tokens(" moon")[0]
    r = s.complete(logit_bias={str(want): 100}, max_tokens=4, logprobs=0)
    equal(len(set(r.choices[0].logprobs.tokens)), 1, "one token forced")
    expect(r.choices[0].text.startswith(" moon"), "the forced token", r.choices[0].text)
    first = s.complete(max_tokens=1).choices[0].text
    banned = s.tokens(first)
    if len(banned) == 1:
        other = s.complete(max_tokens=1, logit_bias={str(banned[0]): -100}).choices[0].text
        expect(other != first, "banned token came", other)
    r = s.chat(logit_bias={str(want): 100}, max_tokens=3)
    equal(r.choices[0].message.content.count("moon"), 3, "forced in chat")


@check
def penalties_change_the_text(s):
    text = s.complete("a a a a a a a a", max_tokens=24).choices[0].text
    expect(s.complete("a a a a a a a a", max_tokens=24, frequency_penalty=2).choices[0].text != text, "frequency_penalty")
    expect(s.complete("a a a a a a a a", max_tokens=24, presence_penalty=2).choices[0].text != text, "presence_penalty")


# ------------------------------------------------------------------------------------------------ stops
@check
def stop_strings(s):
    full = s.complete(max_tokens=32).choices[0].text
    stop = next((full[k:k + 4] for k in range(8, len(full) - 4) if full.find(full[k:k + 4]) == k), None)
    expect(stop, "no string to stop at", full)
    want = full[:full.index(stop)]
    for value in (stop, [stop], ["\x01never", stop]):
        r = s.complete(max_tokens=32, stop=value)
        equal((r.choices[0].text, r.choices[0].finish_reason), (want, "stop"), f"stop={value!r}")
        equal(getattr(r.choices[0], "stop_reason", None), stop, "stop_reason")
    text, finish, _ = drain_text(s.complete(max_tokens=32, stop=[stop], stream=True))
    equal((text, finish), ({0: want}, {0: "stop"}), "streamed")
    r = s.complete(max_tokens=32, stop=[stop], extra_body={"include_stop_str_in_output": True, "ignore_eos": True})
    equal(r.choices[0].text, want + stop, "include_stop_str_in_output")


@check
def stop_strings_chat(s):
    full = s.chat(max_tokens=32).choices[0].message.content
    stop = next((full[k:k + 4] for k in range(8, len(full) - 4) if full.find(full[k:k + 4]) == k), None)
    expect(stop, "no string to stop at", full)
    r = s.chat(max_tokens=32, stop=stop)
    want = (full[:full.index(stop)], "stop")
    equal((r.choices[0].message.content, r.choices[0].finish_reason), want, "stop")
    text, finish, _ = drain_chat(s.chat(max_tokens=32, stop=stop, stream=True))
    equal((text[0], finish[0]), want, "streamed")


@check
def stop_token_ids(s):
    r = s.complete(max_tokens=8, extra_body={"ignore_eos": True, "return_token_ids": True})
    ids = getattr(r.choices[0], "token_ids", None)
    if not ids:
        raise Skip("no return_token_ids")
    equal(len(ids), 8, "token_ids")
    stop = next(t for i, t in enumerate(ids) if i >= 2 and t not in ids[:i])
    r = s.complete(max_tokens=8, extra_body={"stop_token_ids": [stop], "return_token_ids": True})
    equal((r.choices[0].finish_reason, r.choices[0].stop_reason), ("stop", stop), "finish")
    equal(r.choices[0].token_ids, ids[:ids.index(stop) + 1], "token_ids")


# ------------------------------------------------------------------------------------------------ structured output
@check
def json_schema(s):
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
              "required": ["name", "age"], "additionalProperties": False}
    fmt = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    r = s.chat([{"role": "user", "content": "Give me a person as JSON."}], max_tokens=80, response_format=fmt, extra_body={})
    equal(r.choices[0].finish_reason, "stop", "finish_reason")
    d = json.loads(r.choices[0].message.content)
    expect(set(d) == {"name", "age"} and isinstance(d["name"], str) and isinstance(d["age"], int), "object", d)


# ------------------------------------------------------------------------------------------------ errors
@check
def error_unknown_model(s):
    e = refused(openai.NotFoundError, lambda: s.client.completions.create(model="no-such-model", prompt="x"))
    expect("no-such-model" in e.body["message"], "message names the model", e.body)
    equal(e.body["type"], "NotFoundError", "type")
    refused(openai.NotFoundError, lambda: s.client.chat.completions.create(model="no-such-model", messages=CHAT))
    refused(openai.NotFoundError, lambda: s.client.chat.completions.create(model="no-such-model", messages=CHAT, stream=True))


def bad(name, api, param=None, **kw):
    def f(s):
        refused(openai.BadRequestError, lambda: getattr(s, api)(**kw), param=param)
    f.__name__ = "error_" + name
    CHECKS.append(f)


bad("temperature_negative", "complete", "temperature", temperature=-1)
bad("temperature_above_2", "chat", "temperature", temperature=2.5)
bad("temperature_not_a_number", "chat", "temperature", temperature="hot")
bad("top_p_zero", "complete", "top_p", top_p=0.0)
bad("presence_penalty_3", "complete", presence_penalty=3)
bad("messages_empty", "chat", messages=[])
bad("messages_a_string", "chat", "messages", messages="hello")
# OpenAI refuses an unknown role; vLLM 0.32 hands any string to the template
bad("role_unknown", "chat", messages=[{"role": "wizard", "content": "x"}])
bad("role_a_number", "chat", messages=[{"role": 5, "content": "x"}])
bad("role_missing", "chat", messages=[{"content": "x"}])
bad("content_a_number", "chat", messages=[{"role": "user", "content": 5}])
bad("prompt_empty_list", "complete", prompt=[])
bad("prompt_an_object", "complete", "prompt", prompt={"a": 1})
bad("prompt_token_beyond_vocabulary", "complete", prompt=[1, 2, 99999999])
bad("prompt_token_negative", "complete", prompt=[1, 2, -5])
bad("max_tokens_negative", "complete", "max_tokens", max_tokens=-5)
bad("max_tokens_text", "complete", "max_tokens", max_tokens="many")
bad("n_too_large", "complete", n=20000, temperature=1.0)
bad("n_zero", "complete", "n", n=0)
bad("n_2_greedy", "complete", n=2, temperature=0)
bad("logprobs_too_many", "complete", logprobs=21)
bad("top_logprobs_without_logprobs", "chat", "top_logprobs", top_logprobs=2)
bad("stop_empty_string", "complete", stop=[""])
bad("stop_five_strings", "complete", "stop", stop=["a", "b", "c", "d", "e"])
bad("logit_bias_beyond_vocabulary", "complete", logit_bias={"99999999": 1})
bad("logit_bias_not_an_id", "complete", "logit_bias", logit_bias={"moon": 1})
bad("stream_options_without_stream", "complete", "stream_options", stream_options={"include_usage": True})
bad("tools_empty", "chat", "tools", tools=[])


@check
def error_too_long(s):
    n, one = s.context(), s.tokens(" moon")[:1]
    refused(openai.BadRequestError, lambda: s.complete(one * (n + 10)))
    refused(openai.BadRequestError, lambda: s.chat([{"role": "user", "content": " moon" * (n + 10)}]))
    refused(openai.BadRequestError, lambda: s.complete(max_tokens=n + 1), param="max_tokens")
    s.complete(max_tokens=2)


@check
def error_wrong_key(s):
    if not s.key:
        raise Skip("no --api-key")
    refused(openai.AuthenticationError, lambda: s.connect("wrong-" + s.key).models.list())
    refused(openai.AuthenticationError, lambda: s.connect("wrong-" + s.key).completions.create(model=s.model, prompt="x"))
    s.client.models.list()


# ------------------------------------------------------------------------------------------------ cancellation, load
@check
def cancel_stream(s):
    n = min(1500, s.context() - 200)
    for make in (lambda: s.complete(max_tokens=n, stream=True), lambda: s.chat(max_tokens=n, stream=True)):
        stream, seen = make(), 0
        for _ in stream:
            seen += 1
            if seen == 4:
                break
        stream.close()
        s.idle()
    usage_adds_up(s.complete(max_tokens=4).usage, 4)
    if s.running() is None:
        return "no vllm:num_requests_running in /metrics; only the next request was looked at"


@check
def cancel_by_timeout(s):
    n = min(1500, s.context() - 200)
    impatient = s.connect(s.key or "EMPTY", timeout=0.5)
    try:
        impatient.completions.create(model=s.model, prompt=PROMPT, max_tokens=n, **GREEDY)
        return "done before the client's time-out"
    except openai.APITimeoutError:
        pass
    s.idle()
    usage_adds_up(s.complete(max_tokens=4).usage, 4)


def load_jobs(s):
    topics = ["moon", "sea", "bread", "chess", "rain", "trains", "bees", "glass"]
    jobs = []
    for i in range(16):
        t, n = topics[i % 8], 12 + 3 * (i % 5)
        jobs.append(dict(prompt=f"A note on {t}, number {i}:" + f" {t} and more" * (i * 3), max_tokens=n) if i % 2 else
                    dict(messages=[{"role": "user", "content": f"Tell me about {t} ({i})."}], max_tokens=n))
    return jobs


def run_job(s, job):
    if "prompt" in job:
        return drain_text(s.complete(**job, stream=True))[:2]
    return drain_chat(s.chat(**job, stream=True))[:2]


@check
def concurrent_streams(s):
    jobs = load_jobs(s)
    alone, got = [run_job(s, j) for j in jobs], [None] * len(jobs)

    def work(i):
        try:
            got[i] = run_job(s, jobs[i])
        except Exception as e:
            got[i] = repr(e)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wrong = [i for i in range(len(jobs)) if got[i] != alone[i]]
    expect(not wrong, f"{len(wrong)} of 16 streams differ from their runs alone, first", alone[wrong[0]] if wrong else 0,
           got[wrong[0]] if wrong else 0)


@check
def async_client(s):
    want = [s.chat([{"role": "user", "content": f"Count to {i}."}]).choices[0].message.content for i in range(4)]

    async def run():
        async with openai.AsyncOpenAI(base_url=s.base, api_key=s.key or "EMPTY", max_retries=0, timeout=s.timeout) as c:
            async def one(i):
                stream = await c.chat.completions.create(model=s.model, messages=[{"role": "user", "content": f"Count to {i}."}],
                                                         max_tokens=16, stream=True, **GREEDY)
                return "".join([ch.choices[0].delta.content or "" async for ch in stream])
            return await asyncio.gather(*(one(i) for i in range(4)))
    equal(asyncio.run(run()), want, "texts")
