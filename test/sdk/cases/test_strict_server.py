"""a server with a short grace after finalize and with the reference clock"""

import time

import pytest
from workbench import (
    START,
    STRICT_ENDPOINT,
    STRICT_KEY,
    assert_stored,
    call,
    needs,
    settled,
    stored,
    streamer,
)

NEEDS = ("streamer",)

GRACE_SECONDS = 1.0
CLOCK_SECONDS_MAX = 0.25


def strict_streamer():
    return streamer(key=STRICT_KEY, endpoint=STRICT_ENDPOINT)


def strict_stored(data_id, channel):
    return stored(data_id, channel, key=STRICT_KEY, endpoint=STRICT_ENDPOINT)


@needs("clock")
def test_without_the_reference_clock_times_go_out_unchanged():
    one = streamer()
    data_id = one.initialize()
    assert one.clock_status() is None
    one.run(data_id, "t", [([START], [1.0])])
    assert_stored(data_id, "t", [START], [1.0])


@needs("clock")
def test_the_reference_clock_is_measured_and_shifts_the_times():
    one = strict_streamer()
    data_id = one.initialize()
    status = one.clock_status()
    assert status is not None, "the server did not answer /gateway/time"
    # Server and SDK share one clock here, so what is measured is the round trip alone.
    assert abs(status["offset_ms"]) < CLOCK_SECONDS_MAX * 1000
    one.run(data_id, "t", [([START, START + 1], [1.0, 2.0])])
    times, values = settled(data_id, "t", 2, key=STRICT_KEY, endpoint=STRICT_ENDPOINT)
    assert values == [1.0, 2.0]
    assert abs(times[0] - START) < CLOCK_SECONDS_MAX
    assert times[1] - times[0] == pytest.approx(1.0, abs=1e-6)


def test_after_the_grace_new_content_is_refused_and_a_replay_is_not():
    # The reference clock gives every sending of a chunk other times, so the replay goes by plain requests.
    one = strict_streamer()
    data_id = one.initialize()

    def send(value, index=0):
        body = {"data_id": data_id, "chunk_index": index, "channel_name": "t", "timestamps": [START], "values": [value]}
        reply = call("POST", "/tool-state/stream/chunk", key=STRICT_KEY, endpoint=STRICT_ENDPOINT, json=body)
        return reply.status_code

    assert send(1.0) == 201
    one.finalize(data_id)
    time.sleep(GRACE_SECONDS + 0.5)
    assert send(1.0) == 201
    assert send(2.0) == 409
    assert send(1.0, index=1) == 409
    with pytest.raises(RuntimeError, match="409(.|\n)*detail"):
        one.run(data_id, "other", [([START], [1.0])])
    one.finalize(data_id)
    assert strict_stored(data_id, "t") == ([START], [1.0])
