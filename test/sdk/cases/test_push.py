"""push, push_multi and run: every point stored once, bit for bit"""

import random
import struct

from workbench import (
    AWKWARD_DOUBLES,
    KEY,
    START,
    answer,
    assert_same_bits,
    assert_stored,
    call,
    fresh,
    ramp,
    stored,
    stored_chunks,
    streamer,
    timeseries,
)

NEEDS = ("streamer",)


def test_push_keeps_every_bit_of_times_and_values():
    times = [START + place + 1 / (3 + place) for place in range(len(AWKWARD_DOUBLES))]
    one = streamer()
    data_id = one.initialize()
    one.push(data_id, 0, "temperature", times, AWKWARD_DOUBLES, units="C")
    assert_stored(data_id, "temperature", times, AWKWARD_DOUBLES)


def test_push_keeps_random_bit_patterns():
    source = random.Random(20_231_114)
    values = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(5_000)]
    times = [START + source.random() * 1e6 for _ in values]
    one = streamer()
    data_id = one.initialize()
    one.push(data_id, 0, "noise", times, values)
    assert_stored(data_id, "noise", times, values)


def test_whole_numbers_and_booleans_arrive_as_floats():
    one = streamer()
    data_id = one.initialize()
    one.push(data_id, 0, "shutter", [int(START), int(START) + 1, int(START) + 2], [1, 0, 7])
    assert_stored(data_id, "shutter", [START, START + 1, START + 2], [1.0, 0.0, 7.0])


def test_push_multi_stores_every_channel():
    times, values = ramp(50)
    one = streamer()
    data_id = one.initialize()
    one.push_multi(
        data_id,
        0,
        {
            "temperature": {"timestamps": times, "values": values, "units": "C"},
            "pressure": {"timestamps": times, "values": values[::-1], "units": "mbar"},
            "counts": {"timestamps": times, "values": values},
        },
    )
    assert_stored(data_id, "temperature", times, values)
    assert_stored(data_id, "pressure", times, values[::-1])
    assert_stored(data_id, "counts", times, values)
    properties = timeseries(data_id)["properties"]
    assert {name: one["units"] for name, one in properties.items()} == {
        "temperature": "C",
        "pressure": "mbar",
        "counts": None,
    }


def test_push_multi_with_channels_of_different_length_and_times():
    slow, fast = ramp(3, step=10.0), ramp(30, start=START + 0.5)
    one = streamer()
    data_id = one.initialize()
    one.push_multi(
        data_id,
        4,
        {
            "slow": {"timestamps": slow[0], "values": slow[1]},
            "fast": {"timestamps": fast[0], "values": fast[1]},
            "silent": {"timestamps": [], "values": []},
        },
    )
    assert_stored(data_id, "slow", *slow)
    assert_stored(data_id, "fast", *fast)
    assert set(timeseries(data_id)["properties"]) == {"slow", "fast"}


def test_run_waits_until_all_chunks_are_stored():
    times, values = ramp(5_000)
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "temperature", ((times[at : at + 100], values[at : at + 100]) for at in range(0, 5_000, 100)))
    got = stored(data_id, "temperature")
    assert_same_bits(got[0], times)
    assert_same_bits(got[1], values)


def test_run_again_replaces_from_the_first_chunk():
    one = streamer(points_per_chunk=10)
    data_id = one.initialize()
    times, values = ramp(30)
    one.run(data_id, "t", [(times[at : at + 10], values[at : at + 10]) for at in (0, 10, 20)])
    other = [value + 1 for value in values[:10]]
    one.run(data_id, "t", [(times[:10], other)])
    assert_stored(data_id, "t", times, other + values[10:])


def test_chunks_out_of_order_and_with_gaps():
    one = streamer(points_per_chunk=10)
    data_id = one.initialize()
    times, values = ramp(100)
    indices = [7, 2, 9, 0, 5]
    for index in indices:
        one.push(data_id, index, "t", times[index * 10 : index * 10 + 10], values[index * 10 : index * 10 + 10])
    wanted = [place for index in sorted(indices) for place in range(index * 10, index * 10 + 10)]
    assert_stored(data_id, "t", [times[place] for place in wanted], [values[place] for place in wanted])
    chunks = stored_chunks(data_id, "t")
    assert [chunk["chunk_index"] for chunk in chunks] == sorted(indices)
    assert [chunk["start_offset"] for chunk in chunks] == [index * 10 for index in sorted(indices)]


def test_the_same_chunk_many_times_is_stored_once():
    one = streamer()
    data_id = one.initialize()
    times, values = ramp(100)
    for _ in range(20):
        one.push(data_id, 0, "t", times, values, units="C")
    for _ in range(3):
        one.run(data_id, "t", [(times, values)], units="C")
    assert_stored(data_id, "t", times, values)
    body = {"data_id": data_id, "chunk_index": 0, "channel_name": "t", "timestamps": times, "values": values}
    reply = call("POST", "/tool-state/stream/chunk", json={**body, "units": "C"})
    assert reply.status_code == 201
    assert reply.json() == {"data_id": data_id, "channel_name": "t", "chunk_index": 0, "total_points": 100}


def test_a_chunk_sent_with_other_content_is_replaced():
    one = streamer()
    data_id = one.initialize()
    for points in (100, 60, 140):
        times, values = ramp(points, step=1.0 + points)
        one.run(data_id, "t", [(times, values)])
        assert_stored(data_id, "t", times, values)


def test_minus_zero_replaces_zero():
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "t", [([START], [0.0])])
    one.run(data_id, "t", [([START], [-0.0])])
    assert_stored(data_id, "t", [START], [-0.0])


def test_chunks_longer_and_shorter_than_points_per_chunk_are_whole():
    one = streamer(points_per_chunk=10)
    data_id = one.initialize()
    sizes = [25, 3, 10, 41, 1]
    times, values = ramp(sum(sizes))
    at = 0
    for index, size in enumerate(sizes):
        one.push(data_id, index, "t", times[at : at + size], values[at : at + size])
        at += size
    assert_stored(data_id, "t", times, values)
    assert [len(chunk["values"]) for chunk in stored_chunks(data_id, "t")] == sizes


def test_a_hundred_pushes_at_once():
    one = streamer()
    data_id = one.initialize()
    times, values = ramp(10_000)
    order = list(range(100))
    random.Random(7).shuffle(order)
    for index in order:
        one.push(data_id, index, "t", times[index * 100 : index * 100 + 100], values[index * 100 : index * 100 + 100])
    assert_stored(data_id, "t", times, values)


def test_a_hundred_pushes_of_many_channels_at_once():
    one = streamer(points_per_chunk=10)
    data_id = one.initialize()
    times, values = ramp(1_000)
    names = [f"channel {number}" for number in range(8)]
    for index in range(100):
        part = slice(index * 10, index * 10 + 10)
        one.push_multi(data_id, index, {name: {"timestamps": times[part], "values": values[part]} for name in names})
    for name in names:
        assert_stored(data_id, name, times, values)


def test_a_chunk_of_a_hundred_thousand_points():
    one = streamer(points_per_chunk=100_000)
    data_id = one.initialize()
    times, values = ramp(100_000, step=0.01)
    one.run(data_id, "t", [(times, values)])
    assert_stored(data_id, "t", times, values)


def test_a_stream_can_be_fed_under_every_prefix():
    one = streamer(points_per_chunk=3)
    data_id = one.initialize()
    times, values = ramp(9)
    one.run(data_id, "t", [(times[:3], values[:3])])
    for index, prefix in ((1, "/metrology/stream"), (2, "/instrument-timeseries")):
        part = slice(index * 3, index * 3 + 3)
        body = {"data_id": data_id, "chunk_index": index, "channel_name": "t"}
        answer("POST", f"{prefix}/chunk", key=KEY, json={**body, "timestamps": times[part], "values": values[part]})
    assert_stored(data_id, "t", times, values)


def test_streams_do_not_mix():
    one = streamer()
    first, second = one.initialize(stream_name=fresh("a")), one.initialize(stream_name=fresh("b"))
    times, values = ramp(10)
    one.push(first, 0, "t", times, values)
    one.push(second, 0, "t", times, values[::-1])
    assert_stored(first, "t", times, values)
    assert_stored(second, "t", times, values[::-1])
