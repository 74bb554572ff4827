"""get: what the SDK's data frames and the time series hold"""

import math
import uuid

import numpy
from workbench import (
    START,
    answer,
    assert_same_bits,
    assert_stored,
    call,
    client,
    finished_stream,
    frame,
    fresh,
    has,
    milliseconds,
    needs,
    settled,
    stored,
    streamer,
    timeseries,
)

AWKWARD_NAMES = [
    "__proto__",
    "constructor",
    "toString",
    "Time",
    "UNIX Timestamp",
    "Time (channel)",
    "relative_time_seconds",
    "unix_timestamp_ms",
    "a/b %",
    "µ",
    "🌡 cell 1",
    "with\ttab and \"quotes\" and \\",
    " padded ",
    "1",
    "'; drop table streams; --",
]


def test_the_frame_of_one_channel():
    times = [START + place * 0.25 + 0.0001 for place in range(200)]
    values = [place / 7 for place in range(200)]
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "temperature", [(times, values)], units="C")
    one.finalize(data_id)
    shown = frame(data_id)
    assert list(shown.columns) == ["UNIX Timestamp", "Time", "temperature"]
    assert shown["UNIX Timestamp"].dtype == numpy.int64
    assert list(shown["UNIX Timestamp"]) == [milliseconds(time) for time in times]
    assert shown["temperature"].dtype == numpy.float64
    assert_same_bits(list(shown["temperature"]), values)
    first = milliseconds(times[0])
    assert_same_bits(list(shown["Time"]), [(milliseconds(time) - first) / 1000 for time in times])


def test_whole_numbers_stay_floats_in_the_frame():
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "t", [([START, START + 1, START + 2], [25.0, -0.0, 1e21])])
    shown = frame(data_id)["t"]
    assert shown.dtype == numpy.float64
    assert_same_bits(list(shown), [25.0, -0.0, 1e21])


def test_statistics_of_windows_are_those_of_numpy():
    """Overlapping chunks, absent readings, an offset, and windows that cut chunks and stored overviews."""
    random = numpy.random.default_rng(18)
    one = streamer(points_per_chunk=5)
    data_id = one.initialize()
    times, values, chunks = [], [], []
    for place in range(140):
        own_times = [START + place + step * 0.4 for step in range(5)]
        own = [math.nan if random.random() < 0.1 else float(1e6 + random.normal() / 100) for _ in range(5)]
        chunks.append((own_times, own))
        times += own_times
        values += own
    one.run(data_id, "t", chunks)
    one.finalize(data_id)
    settled(data_id, "t", len(times))
    instants = numpy.array([milliseconds(time) for time in times])
    readings = numpy.array(values)
    windows = [(None, None), (0, 63.9), (10.4, 10.8), (10.401, 100.3), (64, 128), (3.2, 139), (500, 600)]
    for begin, end in windows:
        window = {}
        inside = numpy.ones(len(times), dtype=bool)
        if begin is not None:
            window = {"start": str(START + begin), "end": str(START + end)}
            inside = (instants >= milliseconds(START + begin)) & (instants <= milliseconds(START + end))
        found = answer("GET", f"/metrology/{data_id}/statistics/", params=window)["properties"]["t"]
        wanted = readings[inside]
        there = wanted[~numpy.isnan(wanted)]
        assert (found["count"], found["absent_count"]) == (len(there), len(wanted) - len(there)), window
        if len(there) == 0:
            assert found["mean"] is None and found["standard_deviation"] is None
            continue
        numpy.testing.assert_allclose(found["mean"], there.mean(), rtol=1e-12)
        # Of the distances from the offset: numpy's own sums lose digits to it.
        around = (there - 1e6).astype(numpy.longdouble)
        numpy.testing.assert_allclose(found["standard_deviation"], float(around.std()), rtol=1e-12)
        if len(there) > 1:
            numpy.testing.assert_allclose(found["sample_standard_deviation"], float(around.std(ddof=1)), rtol=1e-12)
        assert (found["minimum"], found["maximum"]) == (there.min(), there.max())


@needs("knows_collected")
def test_the_result_says_when_it_was_collected_and_uploaded():
    (result,) = client().get(finished_stream())
    assert type(result).__name__ == ("ToolStateResult" if has("reads_tool_state") else "MetrologyResult")
    assert result.collected_datetime.startswith("2023-11-14T22:13:20")
    assert result.upload_datetime.startswith("20")


def test_milliseconds_are_rounded_not_cut():
    times = [START + 0.0004, START + 0.0016, START + 0.9999]
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "t", [(times, [1.0, 2.0, 3.0])])
    assert list(frame(data_id)["UNIX Timestamp"] - int(START) * 1000) == [0, 2, 1000]


def test_channels_of_different_sampling():
    fast = [START + place * 0.5 for place in range(21)]
    slow = [START + 1 + place * 4 for place in range(3)]
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "fast", [(fast, [float(place) for place in range(21)])])
    one.run(data_id, "slow", [(slow, [100.0, 200.0, 300.0])])
    properties = timeseries(data_id)["properties"]
    assert properties["fast"]["unix_timestamp_ms"] == [milliseconds(time) for time in fast]
    assert properties["slow"]["unix_timestamp_ms"] == [milliseconds(time) for time in slow]
    # One zero for the whole stream: its earliest sample.
    assert properties["slow"]["relative_time_seconds"] == [1.0, 5.0, 9.0]
    shown = frame(data_id)
    assert list(shown["UNIX Timestamp"]) == [milliseconds(time) for time in fast]
    assert_same_bits(list(shown["Time"]), [place * 0.5 for place in range(21)])
    # A release that reads rows shows a reading where it was taken, later ones hold it until the next.
    held = (shown["slow"] if has("reads_properties") else shown["slow"].ffill()).tolist()
    assert held[2:10] == [100.0] * 8 and held[10:18] == [200.0] * 8 and held[18:] == [300.0] * 3
    assert numpy.isnan(held[:2]).all()


def test_the_same_instant_twice_shows_the_last_reading():
    one = streamer(points_per_chunk=3)
    data_id = one.initialize()
    one.run(data_id, "t", [([START, START + 0.0001, START + 1], [1.0, 2.0, 3.0]), ([START + 1, START + 2], [4.0, 5.0])])
    one.run(data_id, "u", [([START + 0.5, START + 1], [7.0, 8.0])])
    properties = timeseries(data_id)["properties"]
    assert properties["t"]["values"] == [2.0, 4.0, 5.0]
    shown = frame(data_id)["t"]
    assert list(shown if has("reads_properties") else shown.ffill()) == [2.0, 2.0, 4.0, 5.0]
    assert_same_bits(stored(data_id, "t")[1], [1.0, 2.0, 3.0, 4.0, 5.0])


def test_chunks_that_overlap_in_time_are_merged():
    one = streamer(points_per_chunk=4)
    data_id = one.initialize()
    one.run(
        data_id,
        "t",
        [
            ([START + 6, START + 2, START + 4, START], [6.0, 2.0, 4.0, 0.0]),
            ([START + 5, START + 1, START + 3, START + 7], [5.0, 1.0, 3.0, 7.0]),
        ],
    )
    shown = timeseries(data_id)["properties"]["t"]
    assert shown["values"] == [float(place) for place in range(8)]
    assert shown["relative_time_seconds"] == [float(place) for place in range(8)]
    assert list(frame(data_id)["t"]) == [float(place) for place in range(8)]


def test_times_that_are_no_epoch():
    times = [0.0, 0.01, 0.02, 10.5]
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "t", [(times, [1.0, 2.0, 3.0, 4.0])])
    assert_stored(data_id, "t", times, [1.0, 2.0, 3.0, 4.0])
    shown = frame(data_id)
    assert list(shown["UNIX Timestamp"]) == [0, 10, 20, 10_500]
    assert list(shown["Time"]) == [0.0, 0.01, 0.02, 10.5]


def test_times_beyond_every_calendar_are_stored_and_left_out_of_the_time_series():
    times = [START, 1e300, -1e300]
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "t", [(times, [1.0, 2.0, 3.0])])
    assert_stored(data_id, "t", times, [1.0, 2.0, 3.0])
    assert timeseries(data_id)["properties"]["t"]["values"] == [1.0]


def test_awkward_channel_names_are_all_returned():
    one = streamer()
    data_id = one.initialize()
    times = [START, START + 1]
    channels = {
        name: {"timestamps": times, "values": [float(place), place + 0.5]} for place, name in enumerate(AWKWARD_NAMES)
    }
    one.push_multi(data_id, 0, channels)
    for name, sent in channels.items():
        assert_stored(data_id, name, times, sent["values"])
    shown = frame(data_id)
    assert len(shown.columns) == len(set(shown.columns)) == len(AWKWARD_NAMES) + 2
    reserved = {"Time", "UNIX Timestamp", "relative_time_seconds", "unix_timestamp_ms"}
    for place, name in enumerate(AWKWARD_NAMES):
        if name not in reserved and name != "Time (channel)":
            assert list(shown[name]) == [float(place), place + 0.5], name
    firsts = sorted(shown.drop(columns=["UNIX Timestamp", "Time"]).iloc[0])
    assert firsts == [float(place) for place in range(len(AWKWARD_NAMES))]
    answered = timeseries(data_id, "metrology")
    assert len(answered["properties"]) == len(AWKWARD_NAMES)
    assert all(len(point) == len(AWKWARD_NAMES) + 2 for point in answered["series"])


def test_one_awkward_channel_at_a_time_through_push():
    one = streamer()
    for name in ("__proto__", "constructor", "Time", "a/b %", "µ"):
        data_id = one.initialize()
        one.push(data_id, 0, name, [START], [42.0])
        assert_stored(data_id, name, [START], [42.0])
        shown = frame(data_id)
        assert shown.shape == (1, 3) and shown.iloc[0, 2] == 42.0, name


def test_a_running_stream_can_be_read():
    one = streamer()
    data_id = one.initialize()
    for index in range(3):
        one.push(data_id, index, "t", [START + index], [float(index)])
        settled(data_id, "t", index + 1)
        assert list(frame(data_id)["t"]) == [float(place) for place in range(index + 1)]


def test_a_stream_without_points_gives_an_empty_frame():
    assert frame(streamer().initialize()).empty


def test_an_unknown_data_id_gives_nothing():
    assert client().get(str(uuid.uuid4())) == []
    assert call("GET", f"/tool-state/{uuid.uuid4()}/timeseries/").status_code == 404


def test_many_data_ids_in_the_order_asked_for():
    one = streamer()
    made = [one.initialize(stream_name=fresh("many")) for _ in range(120)]
    for place in (0, 50, 119):
        one.run(made[place], "t", [([START], [float(place)])])
    wanted = made[::-1]
    results = client().get(wanted)
    assert [str(result.data_id) for result in results] == wanted
    assert [list(results[119 - place].timeseries_data["t"]) for place in (0, 50, 119)] == [[0.0], [50.0], [119.0]]
    # search puts all ids into one address of over four kilobytes.
    assert set(client().search(data_ids=made)["Data ID"]) == set(made)


def test_the_older_path_answers_rows_too():
    one = streamer()
    data_id = one.initialize()
    one.push_multi(
        data_id,
        0,
        {
            "a": {"timestamps": [START, START + 1], "values": [1.0, float("nan")]},
            "b": {"timestamps": [START + 1, START + 2], "values": [2.0, 3.0]},
        },
    )
    settled(data_id, "b", 2)
    answered = timeseries(data_id, "metrology")
    assert set(answered["properties"]) == {"a", "b"}
    rows = answered["series"]
    assert [one["unix_timestamp_ms"] for one in rows] == [milliseconds(START + place) for place in range(3)]
    assert [one["relative_time_seconds"] for one in rows] == [0.0, 1.0, 2.0]
    assert rows[0]["a"] == 1.0 and "b" not in rows[0]
    assert rows[1].get("a") is None and rows[1]["b"] == 2.0
    assert "a" not in rows[2] and rows[2]["b"] == 3.0


def test_a_part_of_the_time_series():
    data_id = finished_stream(points=50)
    path = f"/tool-state/{data_id}/timeseries/"
    last = answer("GET", path, params={"last_n": 5})["properties"]["temperature"]
    assert last["values"] == [545.0, 546.0, 547.0, 548.0, 549.0]
    assert last["relative_time_seconds"] == [45.0, 46.0, 47.0, 48.0, 49.0]
    assert answer("GET", path, params={"property_names": ["other"]})["properties"] == {}
    some = answer("GET", path, params={"property_names": ["temperature", "other"]})
    assert set(some["properties"]) == {"temperature"}
