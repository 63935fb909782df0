import math

import pytest

from sutra_control import exposition
from sutra_control.exposition import ExpositionError, Sample, read

# From the format's documentation.
DOCUMENTED = rb"""# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
"""


def test_the_documented_example() -> None:
    samples = read(DOCUMENTED)
    assert samples[:5] == [
        Sample("http_requests_total", {"method": "post", "code": "200"}, 1027),
        Sample("http_requests_total", {"method": "post", "code": "400"}, 3),
        Sample(
            "msdos_file_access_time_seconds",
            {"path": "C:\\DIR\\FILE.TXT", "error": 'Cannot find file:\n"FILE.TXT"'},
            1.458255915e9,
        ),
        Sample("metric_without_timestamp_and_labels", {}, 12.47),
        Sample("something_weird", {"problem": "division by zero"}, math.inf),
    ]
    assert [sample.labels.get("le") for sample in samples[5:]] == ["0.05", "+Inf", None, None]


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("a 1", {}, 1),
        ("  a\t-2.5e-3\t", {}, -0.0025),
        ("a -Inf", {}, -math.inf),
        ("a{} 1", {}, 1),
        ("a { } 1", {}, 1),
        ('a{b="c",} 1', {"b": "c"}, 1),
        ('a { b = "c" , d = "" } 1 -5', {"b": "c", "d": ""}, 1),
        ('a{b="}, # \\\\n é"}1', {"b": "}, # \\n é"}, 1),
        ('a{b="\u2028\x0b\r"} .5', {"b": "\u2028\x0b\r"}, 0.5),
        ("a:b_1 7.", {}, 7),
    ],
)
def test_valid_lines(line: str, labels: dict[str, str], value: float) -> None:
    [sample] = read(f"{line}\n".encode())
    assert (sample.labels, sample.value) == (labels, value)


def test_not_a_number_is_a_value() -> None:
    [sample] = read(b"a NaN\n")
    assert math.isnan(sample.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# just a comment\n", b"# HELP\n", b"#TYPE a counter\n"])
def test_no_samples(content: bytes) -> None:
    assert read(content) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a 1", "line feed"),
        (b"a 1\r\n", "value"),
        (b"a\n", "value"),
        (b"a b\n", "value"),
        (b"a 1_000\n", "number"),
        (b"a 0x1\n", "number"),
        (b"a 1 2.5\n", "timestamp"),
        (b"a 1 2 3\n", "value"),
        (b"1a 1\n", "name"),
        (b"a-b 1\n", "value"),
        (b'{b="c"} 1\n', "name"),
        (b'a{b="c" 1\n', "label b"),
        (b"a{b=c} 1\n", "label"),
        (b'a{b="c} 1\n', "label"),
        (b'a{b="\\t"} 1\n', "label"),
        (b'a{1b="c"} 1\n', "label"),
        (b"a{,} 1\n", "label"),
        (b'a{b="c" d="e"} 1\n', "label b"),
        (b'a{b="c",b="d"} 1\n', "duplicate label b"),
        (b'a{b="c"} 1\na{b="c"} 2\n', "line 2: duplicate series"),
        (b"# TYPE a counters\n", "TYPE"),
        (b"# TYPE a counter\n# TYPE a gauge\n", "line 2: second TYPE"),
        (b"a 1\n\xff 1\n", "UTF-8"),
        (b"<!doctype html>\n", "name"),
    ],
)
def test_invalid_text_is_refused_with_its_line(content: bytes, words: str) -> None:
    with pytest.raises(ExpositionError, match=words):
        read(content)


def test_the_order_of_labels_makes_no_other_series() -> None:
    with pytest.raises(ExpositionError, match="duplicate series"):
        read(b'a{b="1",c="2"} 1\na{c="2",b="1"} 1\n')


def test_the_number_of_samples_is_limited() -> None:
    lines = [f"a{number} 1\n" for number in range(exposition.MAX_SAMPLES + 1)]
    assert len(read("".join(lines[:-1]).encode())) == exposition.MAX_SAMPLES
    with pytest.raises(ExpositionError, match="more than 5000 samples"):
        read("".join(lines).encode())
