#!/usr/bin/env python3
"""Runs the real `openai` Python client against an OpenAI-compatible server and checks what comes back.

    openai_client.py --base-url http://127.0.0.1:8000/v1 --model NAME [--api-key KEY] [--only REGEX] [--skip REGEX] [--list]

One line a check, then 'N passed, N failed' (and ', N skipped'); exit status 1 if any failed. Expected values follow
vLLM where OpenAI's documents leave room: defaults, limits, error types, `stop_reason`, seeds of n > 1, extra fields.
Needs a generative model with a chat template, any weights; texts are compared with each other, never with fixed ones.
Sends only to --base-url's server: some 150 short requests, at most 16 at a time.
"""
import argparse
import re
import sys
import time
import traceback

import openai_checks  # noqa: F401 (fills CHECKS)
from openai_support import CHECKS, Server, Skip


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--base-url", required=True)
    ap.add_argument("--model", required=True)
    ap.add_argument("--api-key")
    ap.add_argument("--only", default="", help="regular expression on the check's name")
    ap.add_argument("--skip", help="regular expression on the check's name")
    ap.add_argument("--timeout", type=float, default=180, help="seconds a request may take")
    ap.add_argument("--trace", action="store_true", help="show the traceback of a failure")
    ap.add_argument("--list", action="store_true")
    a = ap.parse_args()
    checks = [f for f in CHECKS if re.search(a.only, f.__name__) and not (a.skip and re.search(a.skip, f.__name__))]
    if a.list:
        return print("\n".join(f.__name__ for f in checks))
    s, passed, failed, skipped = Server(a), 0, 0, 0
    for f in checks:
        t = time.time()
        try:
            note = f(s)
            passed += 1
            line = "ok   " + f.__name__ + (f" ({note})" if note else "")
        except Skip as e:
            skipped += 1
            line = f"skip {f.__name__}: {e}"
        except Exception as e:
            failed += 1
            line = f"FAIL {f.__name__}: {type(e).__name__}: {e}" if not isinstance(e, AssertionError) else f"FAIL {f.__name__}: {e}"
            if a.trace:
                traceback.print_exc()
        print(f"{line}  [{time.time() - t:.2f} s]", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
