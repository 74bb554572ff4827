"""The acquisition, on a server that misbehaves. Run it: pip install metrology-server-testing[sdk], then pytest."""

import time

import pytest
from acquire import CHANNEL, acquire

POINTS = 4
CHUNKS = [
    ([1_700_000_000.0 + 4 * index + place for place in range(POINTS)], [index + place / 8 for place in range(POINTS)])
    for index in range(3)
]


@pytest.fixture
def run(metrology):
    """Runs the acquisition and checks what matters: everything is stored, once, bit for bit, in its place."""

    def run():
        data_id = acquire(metrology.streamer(points_per_chunk=POINTS), "pump-down", CHUNKS)
        stored = metrology.read(data_id, CHANNEL)
        assert [chunk["chunk_index"] for chunk in stored] == [0, 1, 2]
        assert [(chunk["timestamps"], chunk["values"]) for chunk in stored] == CHUNKS
        return data_id

    return run


def test_everything_arrives(metrology, run):
    run()
    assert len(metrology.requests.wait_for(3, path="/**/chunk")) == 3


def test_a_lost_answer_stores_nothing_twice(metrology, run):
    lost = metrology.faults.lose_answer(path="/**/chunk", chunk_index=1, times=1)
    run()
    assert lost.hit == 1
    # The SDK could not know, and has sent the chunk again.
    assert len(metrology.requests.list(path="/**/chunk", chunk_index=1)) == 2


def test_a_server_that_is_busy_for_a_while(metrology, run):
    # More often than the SDK tries: the acquisition has to do it again.
    busy = metrology.faults.add(path="/**/chunk", chunk_index=2, times=4, status=503, headers={"Retry-After": "1"})
    run()
    assert busy.hit == 4


def test_a_slow_answer_is_waited_for(metrology, run):
    metrology.faults.add(path="/**/chunk", chunk_index=0, times=1, delay_ms=2_000)
    started_at = time.monotonic()
    run()
    assert time.monotonic() - started_at > 1.9
    assert len(metrology.requests.list(path="/**/chunk", chunk_index=0)) == 1


def test_a_connection_that_is_cut(metrology, run):
    cut = metrology.faults.add(path="/**/chunk", nth=2, reset=True)
    run()
    assert cut.hit == 1


def test_half_an_answer(metrology, run):
    metrology.faults.add(path="/**/chunk", chunk_index=1, times=1, truncate_bytes=7)
    run()


def test_a_finalize_that_fails_is_done_again(metrology, run):
    metrology.faults.add(path="/**/finalize", times=2, status=500)
    run()
    assert [request.status for request in metrology.requests.list(path="/**/finalize")] == [500, 500, 200]


def test_a_server_that_does_not_come_back_is_said(metrology):
    metrology.faults.add(path="/**/chunk", status=503)
    with pytest.raises(RuntimeError, match="503"):
        acquire(metrology.streamer(points_per_chunk=POINTS), "pump-down", CHUNKS[:1], tries=1)


@pytest.mark.metrology_server(FINALIZE_GRACE_SECONDS=60)
def test_the_time_can_be_moved(metrology, run):
    data_id = run()
    metrology.clock.advance(61)
    late = metrology.streamer(points_per_chunk=POINTS)
    late.push(data_id, 3, CHANNEL, *CHUNKS[0])
    (refused,) = metrology.requests.wait_for(1, path="/**/chunk", status=409, seconds_max=20)
    assert refused.body["chunk_index"] == 3
