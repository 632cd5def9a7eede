"""wait.py -- deadlines instead of sleeps"""
import os
import time

# Everything here is quick on an idle machine; the factor is for slow or busy ones.
FACTOR = float(os.environ.get("STANZAD_PATIENCE", "1"))
PATIENCE = 20 * FACTOR


def until(question, what, timeout=PATIENCE, pause=0.02):
    """Asks until the answer is true and returns it; a failure says what was waited for."""
    end = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s in vain for: {what}")
        time.sleep(pause)
