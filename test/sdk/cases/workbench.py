"""What the cases share: the SDK pointed at the server, reading back without the SDK, and equality of bits."""

import importlib
import math
import os
import struct
import time
import uuid

import requests
from plain_streamer import PlainStreamer

# The release under test and what it can do, as found in the installed package.
PACKAGE = os.environ["SDK_PACKAGE"]
HAS = frozenset(os.environ["SDK_HAS"].split("\n"))

sdk = importlib.import_module(PACKAGE)
ClientError = importlib.import_module(f"{PACKAGE}.core").ClientError
polling = importlib.import_module(f"{PACKAGE}.timeseries.polling")

ENDPOINT = os.environ["SDK_ENDPOINT"]
KEY = os.environ["SDK_KEY"]
# Two users of one organization, and a user of another one.
ADA_KEY = os.environ["SDK_ADA_KEY"]
GRACE_KEY = os.environ["SDK_GRACE_KEY"]
FOREIGN_KEY = os.environ["SDK_FOREIGN_KEY"]
STRICT_ENDPOINT = os.environ["SDK_STRICT_ENDPOINT"]
STRICT_KEY = os.environ["SDK_STRICT_KEY"]

SETTLE_SECONDS_MAX = 15.0
# A growth run of 2023, in seconds; whole, so that times derived from it stay exact.
START = 1_700_000_000.0

# Doubles that a text round trip, a float32 or a careless printer would change.
AWKWARD_DOUBLES = [
    0.1 + 0.2,
    1 / 3,
    -0.0,
    0.0,
    25.0,
    1e-9,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    math.pi,
    math.nextafter(1.0, 2.0),
    9007199254740993.0,
    1e21,
    123456789.12345679,
    -273.15,
]


def needs(*_capabilities):
    """Names what a release has to have for a case to apply to it; the suite reads this from the source."""
    return lambda case: case


def has(capability):
    return capability in HAS


def streamer(key=KEY, endpoint=ENDPOINT, **options):
    """The release's streamer; a release that only reads gets its data by plain requests."""
    if not has("streamer"):
        return PlainStreamer(key, endpoint, **options)
    return importlib.import_module(f"{PACKAGE}.streaming").TimeseriesStreamer(
        api_key=key, endpoint=endpoint, **options
    )


def client(key=KEY, endpoint=ENDPOINT):
    return sdk.Client(api_key=key, endpoint=endpoint, mute_bars=True)


def assert_status(failed, status):
    """The status that a client's error tells: as a field, or in the text where the release has no such field."""
    if has("error_status"):
        assert failed.value.status_code == status
        assert "detail" in failed.value.response_text
    else:
        assert f"HTTP Error {status}" in str(failed.value)
        assert "detail" in str(failed.value)


def fresh(word):
    """A name that no other case uses."""
    return f"{word} {uuid.uuid4().hex[:12]}"


def call(method, path, key=KEY, endpoint=ENDPOINT, **options):
    """One plain HTTP request, without the SDK."""
    return requests.request(method, endpoint + path, headers={"X-API-KEY": key}, timeout=30, **options)


def answer(method, path, **options):
    """The JSON of a plain request that must succeed."""
    reply = call(method, path, **options)
    assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text[:500]}"
    return reply.json()


def ramp(points, start=START, step=1.0):
    """Times in seconds and values that differ from each other, both with awkward fractions."""
    times = [start + step * place + 0.000_123 for place in range(points)]
    return times, [math.sin(place) * 1e3 / 7 for place in range(points)]


def make_project(name=None, key=KEY):
    return answer("POST", "/projects/", key=key, json={"name": name or fresh("project")})["id"]


def stored_chunks(data_id, channel, key=KEY, endpoint=ENDPOINT):
    """The chunks of a channel as stored; no chunks when the channel is not there (yet)."""
    reply = call("GET", f"/tool-state/{data_id}/points/", key=key, endpoint=endpoint, params={"channel": channel})
    if reply.status_code == 404:
        return []
    assert reply.ok, f"raw read: {reply.status_code} {reply.text[:500]}"
    return reply.json()["chunks"]


def stored(data_id, channel, **options):
    """(timestamps, values) of a channel, in chunk order, exactly as stored."""
    chunks = stored_chunks(data_id, channel, **options)
    return (
        [time for chunk in chunks for time in chunk["timestamps"]],
        [value for chunk in chunks for value in chunk["values"]],
    )


def eventually(check, seconds_max=SETTLE_SECONDS_MAX):
    """Repeats a check until it returns something true, as pushes are not awaited by the SDK; then returns that."""
    give_up_at = time.monotonic() + seconds_max
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < give_up_at, f"still not true after {seconds_max} s: {check.__doc__ or check}"
        time.sleep(0.02)


def settled(data_id, channel, points, **options):
    """Waits until a channel holds this many points and returns them as `stored` does."""

    def complete():
        times, values = stored(data_id, channel, **options)
        assert len(times) <= points, f"{len(times)} points stored, {points} sent"
        return (times, values) if len(times) == points else None

    complete.__doc__ = f"{channel!r} holds {points} points"
    return eventually(complete)


def assert_same_bits(got, sent):
    """Equality of every bit; what JSON cannot carry (NaN, infinities) must have become None."""
    assert len(got) == len(sent), f"{len(got)} numbers instead of {len(sent)}"
    for place, (one, other) in enumerate(zip(got, sent, strict=True)):
        if other is None or not math.isfinite(other):
            assert one is None, f"[{place}]: {one!r} instead of a missing reading"
        else:
            assert one is not None, f"[{place}]: missing instead of {other!r}"
            assert struct.pack("<d", one) == struct.pack("<d", other), f"[{place}]: {one!r} instead of {other!r}"


def assert_stored(data_id, channel, times, values, **options):
    """Waits for the points and compares times and values bit for bit."""
    got_times, got_values = settled(data_id, channel, len(times), **options)
    assert_same_bits(got_times, times)
    assert_same_bits(got_values, values)


def milliseconds(seconds):
    """The whole milliseconds that the SDK's data frame must show for a time in seconds."""
    return math.floor(seconds * 1000 + 0.5)


def frame(data_id, **options):
    """The SDK's data frame of one stream."""
    (result,) = client(**options).get(data_id)
    return result.timeseries_data


def timeseries(data_id, prefix="tool-state", **options):
    """The JSON that the SDK builds its data frame from."""
    return answer("GET", f"/{prefix}/{data_id}/timeseries/", **options)


def row(data_id, **options):
    """The catalogue's row of one stream, as the SDK shows it."""
    rows = client(**options).search(data_ids=data_id)
    assert len(rows) == 1, f"{len(rows)} rows for {data_id}"
    return rows.iloc[0]


def ids(rows):
    """The data ids of a search result; an empty result has no columns at all."""
    return set(rows["Data ID"]) if len(rows) else set()


def finished_stream(points=3, key=KEY, start=START, step=1.0, channel="temperature", **links):
    """A finalized stream of a few points, fully stored."""
    links.setdefault("stream_name", fresh("run"))
    unknown = {name for name in links if has("streamer") and not has(f"initialize.{name}")}
    one = PlainStreamer(key, ENDPOINT) if unknown else streamer(key=key)
    data_id = one.initialize(**links)
    times = [start + step * place for place in range(points)]
    one.run(data_id, channel, [(times, [500.0 + place for place in range(points)])], units="C")
    one.finalize(data_id)
    return data_id
