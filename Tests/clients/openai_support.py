"""What openai_client.py is made of: the server under test, expectations, and readers of streams."""
import json
import re
import time
import urllib.error
import urllib.request

import openai

CHECKS = []
PROMPT = "The quick brown fox jumps over the lazy dog. Then the fox"
CHAT = [{"role": "user", "content": "Tell me about the moon."}]
GREEDY = {"temperature": 0, "extra_body": {"ignore_eos": True}}     # n tokens, always


class Skip(Exception):
    pass


def check(f):
    CHECKS.append(f)
    return f


def expect(cond, what, *values):
    if not cond:
        raise AssertionError(what + (": " + ", ".join(repr(v)[:300] for v in values) if values else ""))


def equal(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got!r:.300}, expected {want!r:.300}")


class Server:
    def __init__(self, a):
        self.base, self.model, self.key = a.base_url.rstrip("/"), a.model, a.api_key
        self.root = re.sub(r"/v1$", "", self.base)
        self.timeout = a.timeout
        self.client = self.connect(a.api_key or "EMPTY")
        self._tokens = {}

    def connect(self, key, **kw):
        return openai.OpenAI(base_url=self.base, api_key=key, max_retries=0, timeout=kw.pop("timeout", self.timeout), **kw)

    def complete(self, prompt=PROMPT, **kw):
        kw = {**GREEDY, "max_tokens": 16, **kw}
        return self.client.completions.create(model=self.model, prompt=prompt, **kw)

    def chat(self, messages=CHAT, **kw):
        kw = {**GREEDY, **kw}
        if "max_completion_tokens" not in kw:
            kw.setdefault("max_tokens", 16)
        return self.client.chat.completions.create(model=self.model, messages=messages, **kw)

    def raw(self, path, body=None):
        r = urllib.request.Request(self.root + path, body and json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(r, timeout=30) as s:
            return s.read().decode()

    def tokens(self, text):
        """Token ids of a text through /tokenize (vLLM's form; not part of OpenAI's API)."""
        if text not in self._tokens:
            try:
                d = json.loads(self.raw("/tokenize", {"model": self.model, "prompt": text, "content": text}))
                self._tokens[text] = d["tokens"]
            except (urllib.error.HTTPError, KeyError) as e:
                raise Skip(f"no /tokenize ({e})")
        return self._tokens[text]

    def context(self):
        n = self.client.models.list().data[0]
        n = getattr(n, "max_model_len", None) or (getattr(n, "meta", None) or {}).get("n_ctx")
        if not n:
            raise Skip("the models list gives no max_model_len")
        return n

    def running(self):
        """Requests that the engine is working on, from /metrics; None where that does not tell."""
        try:
            text = self.raw("/metrics")
        except urllib.error.HTTPError:
            return None
        v = re.findall(r"^vllm:num_requests_running(?:\{[^}]*\})? ([\d.e+-]+)$", text, re.M)
        return sum(map(float, v)) if v else None

    def idle(self, limit_s=30):
        """Wait until nothing runs; the seconds that took."""
        t = time.time()
        while (n := self.running()) is not None:
            if n == 0:
                return time.time() - t
            expect(time.time() - t < limit_s, f"still running after {limit_s} s", n)
            time.sleep(0.05)


def refused(kind, call, *, param=None):
    """The call must raise exactly this exception of the client, with a body like OpenAI's."""
    status = {openai.BadRequestError: 400, openai.AuthenticationError: 401, openai.NotFoundError: 404}[kind]
    try:
        r = call()
    except openai.APIStatusError as e:
        equal(type(e).__name__, kind.__name__, "exception")
        equal(e.status_code, status, "status")
        if kind is not openai.AuthenticationError:      # vLLM's 401 body is a plain string
            expect(isinstance(e.body, dict) and e.body.get("message"), "error body has no message", e.body)
            equal(e.body.get("code"), status, "error code")
            expect(isinstance(e.body.get("type"), str), "error type", e.body)
            if param:
                expect(param in str(e.body.get("param")), f"error param should name {param}", e.body)
        return e
    raise AssertionError(f"accepted, expected {kind.__name__}: {str(r)[:200]}")


def drain_text(stream):
    """Text, finish reasons and chunks of a completions stream, by choice index."""
    text, finish, chunks = {}, {}, []
    for ch in stream:
        chunks.append(ch)
        for c in ch.choices:
            text[c.index] = text.get(c.index, "") + c.text
            expect(c.index not in finish, "chunk after the finish")
            if c.finish_reason:
                finish[c.index] = c.finish_reason
    return text, finish, chunks


def drain_chat(stream):
    text, finish, chunks = {}, {}, []
    for ch in stream:
        chunks.append(ch)
        for c in ch.choices:
            expect(c.index not in finish, "chunk after the finish")
            text[c.index] = text.get(c.index, "") + (c.delta.content or "")
            if c.finish_reason:
                finish[c.index] = c.finish_reason
    return text, finish, chunks


def usage_adds_up(u, completion=None):
    expect(u is not None, "no usage")
    equal(u.total_tokens, u.prompt_tokens + u.completion_tokens, "total_tokens")
    expect(u.prompt_tokens > 0, "prompt_tokens", u)
    if completion is not None:
        equal(u.completion_tokens, completion, "completion_tokens")
