"""Enterprise: concurrent first requests that import different libraries."""

import subprocess
import sys

PROGRAM = """
import threading
from concurrent.futures import ThreadPoolExecutor
from sutra_hybrid.diversity import diversify
from sutra_hybrid.spelling import correct
from sutra_hybrid.spreading import spread
from sutra_hybrid.topics import find_topics

ready = threading.Barrier(8)
works = [
    lambda: diversify({"a": 1.0, "b": 0.5}, {"a": [1.0, 0.0], "b": [0.0, 1.0]}, 2),
    lambda: list(spread({"a": 1.0}, {("a", "b"): 0.9})),
    lambda: len(find_topics(["red ship", "red boat", "dark bread", "dark rye"], 2)),
    lambda: correct("Eifel", ["Eiffel"]),
]

def first(work):
    ready.wait()
    return work()

with ThreadPoolExecutor(8) as pool:
    print(*pool.map(first, works * 2), sep="\\n")
"""


def test_concurrent_first_uses() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == ["['a', 'b']", "['a', 'b']", "2", "eiffel"] * 2
