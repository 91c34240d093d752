"""What the clients of chaos.py ask for, and what the undisturbed answers to it are."""
import asyncio
import random

WORDS = ("river hill sea stone tree bird wind rain night morning city road house window letter story king child song garden winter summer "
         "light water fire the a of and to in that was with from over under after before when where because slowly never always").split()


class Plan:
    """A prompt with sampling parameters that give the same text each time."""

    def __init__(self, number, rng):
        self.number = number
        self.prompt = " ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 40)))
        self.sampling = {"max_tokens": rng.randint(20, 140), "ignore_eos": True}
        if number % 2:
            self.sampling |= {"temperature": 0.8 + rng.random() / 2, "top_p": 0.95, "seed": rng.getrandbits(31)}
        else:
            self.sampling |= {"temperature": 0}
        self.chat = number % 4 >= 2
        self.text = None

    def native(self, stream=False):
        asked = {"messages": [{"role": "user", "content": self.prompt}]} if self.chat else {"prompt": self.prompt}
        return {**asked, "sampling_params": self.sampling, "stream": stream, "max_batch_size": 8}

    def openai(self, stream):
        """Path and body on the OpenAI route."""
        asked = {"messages": [{"role": "user", "content": self.prompt}]} if self.chat else {"prompt": self.prompt}
        return ("chat/completions" if self.chat else "completions"), {"model": "smollm2", "stream": stream, **asked, **self.sampling}


def make(seed, count):
    rng = random.Random(f"plans {seed}")
    return [Plan(number, rng) for number in range(count)]


def native_text(output):
    return "".join(text for chunk in output for text in chunk["choices"][0]["tokens"])


def openai_text(answer):
    choice = answer["choices"][0]
    return choice["message"]["content"] if "message" in choice else choice["text"]


def delta_text(event):
    return "".join((choice["delta"].get("content") or "") if "delta" in choice else choice["text"] for choice in event.get("choices", []))


async def record(plans, http):
    """The texts, before anything is disturbed: by both routes, which must agree."""
    gate = asyncio.Semaphore(4)

    async def one(plan):
        async with gate:
            _, answer = await http.json("POST", "runsync?wait=120000", {"input": plan.native()})
            if answer["status"] != "COMPLETED":
                raise SystemExit(f"undisturbed job {plan.number} ended as {answer}")
            plan.text = native_text(answer["output"])
            path, body = plan.openai(False)
            _, answer = await http.json("POST", "openai/v1/" + path, body)
            if openai_text(answer) != plan.text:
                raise SystemExit(f"plan {plan.number}: the routes disagree before anything is disturbed: {plan.text!r} and {openai_text(answer)!r}")

    await asyncio.gather(*(one(plan) for plan in plans))
