"""finalize: nothing is lost, nothing is done twice"""

import uuid

import pytest
from workbench import answer, assert_stored, eventually, ramp, row, streamer, timeseries

NEEDS = ("streamer",)


def test_finalize_straight_after_the_last_push_loses_nothing():
    one = streamer(points_per_chunk=50)
    data_id = one.initialize()
    times, values = ramp(5_000)
    for index in range(100):
        part = slice(index * 50, index * 50 + 50)
        one.push_multi(
            data_id,
            index,
            {
                "a": {"timestamps": times[part], "values": values[part]},
                "b": {"timestamps": times[part], "values": values[part]},
            },
        )
    one.finalize(data_id)
    assert row(data_id)["Status"] == "success"
    assert_stored(data_id, "a", times, values)
    assert_stored(data_id, "b", times, values)
    assert row(data_id)["Status"] == "success"
    eventually(lambda: len(timeseries(data_id)["properties"]["b"]["values"]) == 5_000)


def test_a_chunk_sent_after_finalize_is_accepted():
    one = streamer()
    data_id = one.initialize()
    one.finalize(data_id)
    times, values = ramp(100)
    one.run(data_id, "late", [(times, values)])
    assert_stored(data_id, "late", times, values)
    assert row(data_id)["Status"] == "success"


def test_finalize_again_changes_nothing():
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "t", [ramp(10)])
    one.finalize(data_id)
    one.finalize(data_id)
    first, second = (answer("POST", f"/tool-state/stream/{data_id}/finalize") for _ in range(2))
    assert first == second
    assert first["data_id"] == data_id and uuid.UUID(first["processed_data_id"])


def test_finalize_without_any_chunk():
    one = streamer()
    data_id = one.initialize()
    one.finalize(data_id)
    assert row(data_id)["Status"] == "success"
    assert timeseries(data_id)["properties"] == {}


def test_an_unknown_stream_is_named_in_the_error():
    one = streamer()
    unknown = str(uuid.uuid4())
    with pytest.raises(RuntimeError, match="404(.|\n)*detail"):
        one.run(unknown, "t", [ramp(3)])
    with pytest.raises(RuntimeError, match="404(.|\n)*detail"):
        one.finalize(unknown)
    with pytest.raises(RuntimeError, match="4(04|22)"):
        one.run("not-a-uuid", "t", [ramp(3)])
