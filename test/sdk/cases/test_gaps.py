"""missing readings, missing units and chunks that are refused"""

import math

import pytest
from workbench import START, assert_stored, ramp, settled, stored_chunks, streamer, timeseries

NEEDS = ("streamer",)


def test_missing_readings_come_back_as_null():
    values = [1.0, math.nan, math.inf, -math.inf, 2.0]
    times = [START + place for place in range(5)]
    one = streamer()
    data_id = one.initialize()
    one.push(data_id, 0, "t", times, values)
    assert_stored(data_id, "t", times, values)
    shown = timeseries(data_id)["properties"]["t"]
    assert shown["values"] == [1.0, None, None, None, 2.0]
    assert shown["unix_timestamp_ms"] == [int(time * 1000) for time in times]


def test_a_channel_of_nothing_but_missing_readings():
    one = streamer()
    data_id = one.initialize()
    one.push(data_id, 0, "t", [START, START + 1], [math.nan, math.nan])
    assert_stored(data_id, "t", [START, START + 1], [math.nan, math.nan])
    assert timeseries(data_id)["properties"]["t"]["values"] == [None, None]


def test_missing_times_are_stored_and_left_out_of_the_time_series():
    times, values = [START, math.nan, START + 2, math.inf], [1.0, 2.0, 3.0, 4.0]
    one = streamer()
    data_id = one.initialize()
    one.push(data_id, 0, "t", times, values)
    assert_stored(data_id, "t", times, values)
    shown = timeseries(data_id)["properties"]["t"]
    assert shown["values"] == [1.0, 3.0]
    assert shown["relative_time_seconds"] == [0.0, 2.0]


def test_units_stay_when_a_later_chunk_has_none():
    one = streamer(points_per_chunk=2)
    data_id = one.initialize()
    times, values = ramp(6)
    one.run(data_id, "t", [(times[:2], values[:2])], units="°C")
    one.push(data_id, 1, "t", times[2:4], values[2:4])
    one.push(data_id, 2, "t", times[4:], values[4:], units="K")
    settled(data_id, "t", 6)
    assert timeseries(data_id)["properties"]["t"]["units"] == "K"
    assert [chunk["units"] for chunk in stored_chunks(data_id, "t")] == ["°C", None, "K"]
    one.run(data_id, "t", [(times[:2], values[:2])])
    assert timeseries(data_id)["properties"]["t"]["units"] == "K"


def test_an_empty_chunk_is_refused_by_name():
    one = streamer()
    data_id = one.initialize()
    with pytest.raises(RuntimeError, match="422(.|\n)*nothing here"):
        one.run(data_id, "nothing here", [([], [])])
    assert stored_chunks(data_id, "nothing here") == []


def test_a_channel_name_over_255_characters_is_refused_and_one_of_255_is_not():
    one = streamer()
    data_id = one.initialize()
    with pytest.raises(RuntimeError, match="422"):
        one.run(data_id, "x" * 256, [ramp(3)])
    with pytest.raises(RuntimeError, match="422"):
        one.run(data_id, "", [ramp(3)])
    one.run(data_id, "x" * 255, [ramp(3)])
    assert set(timeseries(data_id)["properties"]) == {"x" * 255}
