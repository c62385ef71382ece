"""Units are where a factor of 8, 2 or 1.07 would slip in, so every spelling and every refusal has a row."""

import contextlib
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringsim.units import (
    UnitError,
    format_rate,
    format_size,
    format_time,
    parse_number,
    parse_rate,
    parse_size,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8", 8),
        ("8B", 8),
        (" 8 ", 8),
        ("1K", 1024),
        ("1k", 1024),
        ("64M", 64 * 2**20),
        ("64m", 64 * 2**20),
        ("1G", 2**30),
        ("1g", 2**30),
        ("2T", 2**41),
        ("1KiB", 1024),
        ("1MiB", 2**20),
        ("1GiB", 2**30),
        ("1 GiB", 2**30),
        ("1TiB", 2**40),
        ("1kB", 1000),
        ("1KB", 1000),
        ("25MB", 25_000_000),
        ("1GB", 10**9),
        ("1TB", 10**12),
        ("1.5G", 3 * 2**29),
        ("0.5K", 512),
        (".5K", 512),
        ("1e3", 1000),
        ("0.001KB", 1),
        # A float would have made 1099511627775.9999 or worse of it.
        ("1.1TB", 1_100_000_000_000),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_parse_size(text, size):
    result = parse_size(text)
    assert result == size
    assert type(result) is int


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "does not start with a number"),
        ("G", "does not start with a number"),
        ("many", "does not start with a number"),
        ("1,5G", "unknown unit ',5G'"),
        ("12Q", "unknown unit 'Q'"),
        ("1gib", "unknown unit 'gib'"),
        ("1GiBs", "unknown unit"),
        ("8Gb", "bits"),
        ("8Gib", "bits"),
        ("8bit", "bits"),
        ("8GB/s", "this is a rate"),
        ("0", "larger than zero"),
        ("0G", "larger than zero"),
        ("-1", "larger than zero"),
        ("-64M", "larger than zero"),
        ("nan", "finite"),
        ("NaN", "finite"),
        ("inf", "finite"),
        ("-inf", "finite"),
        ("infinity", "finite"),
        ("0.5", "whole number of bytes"),
        ("1.0001K", "whole number of bytes"),
        ("1e-3", "whole number of bytes"),
        ("9223372036854775808", "2^63 - 1"),
        ("1e30", "2^63 - 1"),
        ("1e999", "2^63 - 1"),
        # Refused at once, not after an hour of exact arithmetic.
        ("1e999999999", "unknown unit"),
        ("1" * 5000, "unknown unit"),
        ("٨", "does not start with a number"),
        ("1_000", "unknown unit"),
        ("1 2", "unknown unit"),
        ("1\n", None),
    ],
)
def test_parse_size_refuses(text, part):
    if part is None:
        assert parse_size(text) == 1
        return
    with pytest.raises(UnitError) as caught:
        parse_size(text)
    assert part in str(caught.value)
    assert "1GiB" in caught.value.right


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25GB/s", 25e9),
        ("25 GB/s", 25e9),
        ("200Gb/s", 25e9),
        ("200Gbps", 25e9),
        ("200Gbit/s", 25e9),
        ("25GBps", 25e9),
        ("1.61TB/s", 1.61e12),
        ("1GiB/s", 2.0**30),
        ("8Gib/s", 2.0**30),
        ("1MB/s", 1e6),
        ("1kB/s", 1e3),
        ("1KB/s", 1e3),
        ("8b/s", 1.0),
        ("1B/s", 1.0),
        ("0.1GB/s", 1e8),
    ],
)
def test_parse_rate(text, rate):
    result = parse_rate(text)
    assert result == rate
    assert type(result) is float


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("25", "needs a unit"),
        ("25GB", "'/s' is missing"),
        ("25Gb", "'/s' is missing"),
        ("25G", "bits or bytes"),
        ("25G/s", "bits or bytes"),
        ("25gbps", "unknown unit"),
        ("25gb/s", "unknown unit"),
        ("25GB/us", "unknown unit"),
        ("25us", "unknown unit"),
        ("0GB/s", "larger than zero"),
        ("-25GB/s", "larger than zero"),
        ("nan", "finite"),
        ("nanGB/s", None),
        ("inf", "finite"),
        ("infGB/s", None),
        ("1e999GB/s", "large"),
        ("1e-999B/s", "small"),
        ("", "does not start with a number"),
    ],
)
def test_parse_rate_refuses(text, part):
    with pytest.raises(UnitError) as caught:
        parse_rate(text)
    if part is not None:
        assert part in str(caught.value)
    assert "25GB/s" in caught.value.right
    assert "200Gb/s" in caught.value.right


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1.5us", 1.5e-6),
        ("1.5 us", 1.5e-6),
        ("1.5µs", 1.5e-6),
        ("1.5μs", 1.5e-6),
        ("7ms", 7e-3),
        ("2s", 2.0),
        ("300ns", 3e-7),
        ("0s", 0.0),
        ("0us", 0.0),
        # Rounded once: 0.18 * 1e-6 in floats is another number.
        ("0.18us", 1.8e-7),
        ("4.4us", 4.4e-6),
    ],
)
def test_parse_time(text, time):
    assert parse_time(text) == time


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("1", "needs a unit"),
        ("0", "needs a unit"),
        ("1m", "unknown unit 'm'"),
        ("1US", "unknown unit 'US'"),
        ("1GB", "unknown unit"),
        ("-1us", "negative"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("1e999s", "large"),
        ("1e-999s", "small"),
        ("soon", "does not start with a number"),
    ],
)
def test_parse_time_refuses(text, part):
    with pytest.raises(UnitError) as caught:
        parse_time(text)
    assert part in str(caught.value)
    assert "1.5us" in caught.value.right


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.92", 0.92),
        ("18.3/28", 18.3 / 28),
        (" 20.0 / 25 ", 0.8),
        ("7", 7.0),
        ("-1", -1.0),
        ("1e-3", 0.001),
        ("128/120", 128 / 120),
    ],
)
def test_parse_number(text, number):
    assert parse_number(text) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "does not start with a number"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("1/0", "division by zero"),
        ("1/", "does not start with a number"),
        ("/2", "does not start with a number"),
        ("1/2/3", "'/3' follows"),
        ("92%", "'%' follows"),
        ("0.92GB/s", "'GB' follows"),
        ("1/nan", "finite"),
        ("1e999", "large"),
    ],
)
def test_parse_number_refuses(text, part):
    with pytest.raises(UnitError) as caught:
        parse_number(text)
    assert part in str(caught.value)
    assert "18.3/28" in caught.value.right


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (8, "8B"),
        (1023, "1023B"),
        (1024, "1KiB"),
        (1536, "1.5KiB"),
        (1000, "1KB"),
        (512_000, "500KiB"),
        (2**20, "1MiB"),
        (64 * 2**20, "64MiB"),
        (25_000_000, "25MB"),
        (25 * 2**20, "25MiB"),
        (10**9, "1GB"),
        (2**30, "1GiB"),
        (1073741824, "1GiB"),
        (2**40, "1TiB"),
        # Rounded, and the zeros admit it.
        (2**20 + 1, "1.000MiB"),
        (1_234_567_890, "1.150GiB"),
    ],
)
def test_format_size(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (25e9, "25GB/s"),
        (370.8e9, "370.8GB/s"),
        (1.61e12, "1.61TB/s"),
        (12.5e6, "12.5MB/s"),
        (1.0, "1B/s"),
        (0.0, "0B/s"),
        (0.25, "0.25B/s"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (123_456_789.0, "123.5MB/s"),
        (1e19, "10000PB/s"),
    ],
)
def test_format_rate(rate, text):
    assert format_rate(rate) == text


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (1.5e-6, "1.5us"),
        (9.12345e-5, "91.23us"),
        (7e-3, "7ms"),
        (3e-7, "300ns"),
        (2.0, "2s"),
        (0.0, "0s"),
        (9.9997e-4, "1ms"),
        (5e-13, "0.0005ns"),
        (86400.0, "86400s"),
        (-1.5e-6, "-1.5us"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_format_time(time, text):
    assert format_time(time) == text


@given(st.integers(1, 1023), st.sampled_from(["K", "M", "G", "T", "KB", "MB", "GB", "TB", "B"]))
def test_round_sizes_come_back(number, unit):
    size = parse_size(f"{number}{unit}")
    assert parse_size(format_size(size)) == size


@given(st.integers(1, 2**63 - 1))
def test_any_size_comes_back_to_a_tenth_of_a_percent(size):
    text = format_size(size)
    assert len(text) <= 10
    number = text.rstrip("BKMGTPi")
    unit = text[len(number) :]
    # The rounded number need not be a whole number of bytes, so it is scaled by its unit here.
    assert float(number) * parse_size(f"1{unit}") == pytest.approx(size, rel=1e-3)


@given(st.integers(1, 9999), st.sampled_from(["ns", "us", "ms", "s"]))
def test_round_times_come_back(number, unit):
    time = parse_time(f"{number}{unit}")
    assert parse_time(format_time(time)) == pytest.approx(time, rel=1e-15)


@given(st.integers(1, 9999), st.sampled_from(["B/s", "MB/s", "GB/s", "Gb/s", "TB/s"]))
def test_round_rates_come_back(number, unit):
    rate = parse_rate(f"{number}{unit}")
    # Eighths of a unit (bits) may need more than four digits.
    assert parse_rate(format_rate(rate)) == pytest.approx(rate, rel=1e-15 if "b" not in unit else 5e-4)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_politely(text):
    for parse in (parse_size, parse_rate, parse_time, parse_number):
        with contextlib.suppress(UnitError):
            assert math.isfinite(parse(text))


def test_error_is_a_value_error_and_travels_between_processes():
    error = UnitError("12Q", "unknown unit 'Q'", "write 1G")
    assert isinstance(error, ValueError)
    assert str(error) == "12Q: unknown unit 'Q'; write 1G"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.wrong, again.right) == (str(error), error.wrong, error.right)
    assert str(UnitError("", "empty", "write 1G")).startswith("(empty): ")
