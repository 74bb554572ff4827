"""polling a running stream"""

import asyncio
import threading

from workbench import (
    START,
    assert_same_bits,
    client,
    eventually,
    finished_stream,
    polling,
    settled,
    streamer,
)

ROW_TIMES = ("unix_timestamp_ms", "relative_time_seconds")


def fail(reason):
    raise AssertionError("a poll failed") from reason


def test_iter_poll_gives_the_whole_series():
    (shown,) = polling.iter_poll(client(), finished_stream(points=40), max_polls=1, on_error=fail)
    assert len(shown) == 40
    # The oldest releases leave these two names as the server sends them.
    times, seconds = ("UNIX Timestamp", "Relative Time") if "UNIX Timestamp" in shown else ROW_TIMES
    assert list(shown[times]) == [int(START + place) * 1000 for place in range(40)]
    assert_same_bits(list(shown[seconds]), [float(place) for place in range(40)])
    assert_same_bits(list(shown["temperature"]), [500.0 + place for place in range(40)])


def test_iter_poll_gives_the_last_points():
    (shown,) = polling.iter_poll(client(), finished_stream(points=40), max_polls=1, last_n=5, on_error=fail)
    assert_same_bits(list(shown["temperature"]), [535.0, 536.0, 537.0, 538.0, 539.0])


def test_iter_poll_of_a_stream_without_points():
    (shown,) = polling.iter_poll(client(), streamer().initialize(), max_polls=1, on_error=fail)
    assert shown.empty


def test_iter_poll_until_a_running_stream_has_grown():
    one = streamer(points_per_chunk=5)
    data_id = one.initialize()
    lengths, index = [], 0
    polls = polling.iter_poll(
        client(),
        data_id,
        interval=0.05,
        max_polls=200,
        distinct_by=len,
        until=lambda shown: len(shown) >= 25,
        on_error=fail,
    )
    for shown in polls:
        lengths.append(len(shown))
        times = [START + index * 5 + place for place in range(5)]
        one.push(data_id, index, "t", times, [float(index)] * 5)
        index += 1
    assert lengths == sorted(set(lengths))
    assert lengths[0] == 0 and lengths[-1] >= 25


def test_two_channels_are_joined_by_instant():
    one = streamer()
    data_id = one.initialize()
    one.run(data_id, "a", [([START, START + 1], [1.0, 2.0])])
    one.run(data_id, "b", [([START + 1, START + 2], [20.0, 30.0])])
    (shown,) = polling.iter_poll(client(), data_id, max_polls=1, on_error=fail)
    assert len(shown) == 3
    assert shown["a"].isna().tolist() == [False, False, True]
    assert shown["b"].isna().tolist() == [True, False, False]


def test_a_polling_thread_sees_the_stream_grow():
    one = streamer()
    data_id = one.initialize()
    seen, failures, grown = [], [], threading.Event()

    def take(shown):
        seen.append(len(shown))
        if len(shown) == 3:
            grown.set()

    stop = polling.start_polling_thread(client(), data_id, interval=0.05, on_result=take, on_error=failures.append)
    try:
        for index in range(3):
            one.push(data_id, index, "t", [START + index], [1.0])
            settled(data_id, "t", index + 1)
        assert grown.wait(20)
    finally:
        stop.set()
    assert failures == []
    assert seen == sorted(seen)
    eventually(lambda: not any(one.name == f"poll:{data_id}" for one in threading.enumerate()))


def test_aiter_poll():
    data_id = finished_stream(points=4)

    async def lengths():
        return [len(shown) async for shown in polling.aiter_poll(client(), data_id, interval=0.01, max_polls=3, on_error=fail)]

    assert asyncio.run(lengths()) == [4, 4, 4]
