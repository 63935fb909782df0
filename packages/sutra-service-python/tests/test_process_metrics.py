import os
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parse

from sutra_service import process_metrics
from sutra_service.metrics import Metrics


def values(process: Path = Path("/proc/self")) -> dict[str, float]:
    metrics = Metrics()
    process_metrics.add(metrics, process)
    return {sample.name: sample.value for family in parse(metrics.text()) for sample in family.samples}


def test_the_numbers_of_this_process() -> None:
    found = values()
    assert 10e6 < found["process_resident_memory_bytes"] < 10e9
    assert 0 < found["process_cpu_seconds_total"] <= time.process_time()
    # The test runner started earlier than this test, on the same clock.
    assert time.time() - 24 * 3600 < found["process_start_time_seconds"] < time.time()


def test_open_files_are_counted() -> None:
    before = values()["process_open_fds"]
    with open(os.devnull, "rb"), open(os.devnull, "rb"):
        assert values()["process_open_fds"] == before + 2


def test_memory_is_counted() -> None:
    before = values()["process_resident_memory_bytes"]
    held = bytearray(b"x" * 50_000_000)
    assert values()["process_resident_memory_bytes"] - before > len(held) * 0.9


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    assert set(values(tmp_path)) == {"process_cpu_seconds_total"}
    (tmp_path / "stat").write_text("1 (a) R\n")
    (tmp_path / "statm").write_text("\n")
    assert set(values(tmp_path)) == {"process_cpu_seconds_total"}


def test_a_program_name_with_spaces_and_brackets(tmp_path: Path) -> None:
    fields = " ".join(["R", *(["1"] * 18), "0", "5"])
    (tmp_path / "stat").write_text(f"1 (a) b) c) {fields}\n")
    # It started when the machine did.
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(values(tmp_path)["process_start_time_seconds"] - booted) < 60
