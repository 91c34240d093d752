"""What a check is given: the gateway under test, clients, records of the handlers. And how a check says what it needs."""
import json
import os
import threading

from api import Failed, Skip
from gateway import ADMIN_KEY, CLIENT_KEY, sdk

# Endpoints that several checks use at once: jobs there must not be in each other's way.
PLAIN = {"plain": sdk("task", concurrency=16)}
CHUNKS = {"chunks": sdk("chunks", concurrency=16)}


def needs(endpoints=None, quiet=False, model=False):
    """Marks a check with the endpoints it needs in the gateway's configuration.

    quiet: it measures times, so nothing else may run meanwhile. model: its endpoints have `MODEL_NAME: MODEL`, to be filled in.
    """
    def mark(function):
        function.endpoints, function.quiet, function.model = endpoints or {}, quiet, model
        return function
    return mark


class Bench:
    """One for each check; the gateway, proxy and receiver are shared."""

    def __init__(self, gateway, proxy, receiver, options):
        self.gateway, self.proxy, self.receiver, self.options = gateway, proxy, receiver, options
        self.api, self.admin = gateway.api(CLIENT_KEY), gateway.api(ADMIN_KEY)

    def on(self, endpoint):
        return self.api.on(endpoint)

    def fresh(self, endpoint):
        """The same for another thread: with connections of its own."""
        return self.gateway.api(CLIENT_KEY).on(endpoint)

    def client(self, endpoint):
        import runpod
        return runpod.Endpoint(endpoint, api_key=CLIENT_KEY)

    def openai(self, endpoint, **more):
        import openai
        return openai.OpenAI(base_url=f"{self.gateway.base}/v2/{endpoint}/openai/v1", api_key=CLIENT_KEY, max_retries=0,
                             **{"timeout": 120, **more})

    def records(self, endpoint, *events, job=None):
        """Lines that the endpoint's handlers wrote."""
        path = self.gateway.record_path(endpoint)
        if not os.path.exists(path):
            return []
        with open(path) as file:
            lines = [json.loads(line) for line in file]
        return [line for line in lines if (not events or line["event"] in events) and job in (None, line["job"])]

    def path(self, name):
        return os.path.join(self.gateway.folder, name)


def together(*functions):
    """Runs functions side by side; their results in order. The first failure is raised."""
    results, errors = [None] * len(functions), []

    def run(index, function):
        try:
            results[index] = function()
        except Exception as error:                      # noqa: BLE001 (handed on below)
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if errors:
        raise errors[0]
    if any(thread.is_alive() for thread in threads):
        raise Failed("not done within 300 s")
    return results


__all__ = ["PLAIN", "CHUNKS", "Bench", "Failed", "Skip", "needs", "together"]
