"""The SDK as an instrument uses it: sdk_stream.py ENDPOINT KEY MODE NAME, with one line of JSON out for each thing done.

stream: opens a stream and pushes a chunk every 100 ms until a line comes in, says how many, and finalizes when a second line
comes in; in between pushes still go out.
lives: opens, feeds and ends one short stream after the other until a line comes in, each call once, as the SDK does.
Standard input's end ends it.
"""

import inspect
import json
import sys
import threading
import time

from atomscale.streaming import TimeseriesStreamer

endpoint, key, mode, name = sys.argv[1:5]
START = 1_700_000_000.0
POINTS = 10
streamer = TimeseriesStreamer(api_key=key, endpoint=endpoint, points_per_chunk=POINTS)
has_multi = hasattr(streamer, "push_multi")
has_tags = "tags" in inspect.signature(streamer.initialize).parameters


def say(**what):
    print(json.dumps(what), flush=True)


def readings(index):
    """Numbers that a float64 holds exactly, so that they are told apart by their bits."""
    times = [START + index * 5 + place * 0.5 for place in range(POINTS)]
    return times, [index * 1000 + place + 0.25 for place in range(POINTS)]


def push(data_id, index):
    times, values = readings(index)
    streamer.push(data_id, index, "single", times, values)
    if has_multi:
        channels = {one: {"timestamps": times, "values": values, "units": "nm"} for one in ("left", "right")}
        streamer.push_multi(data_id, index, channels)


def once(call, stream, act):
    """One call, once; says when it began, how long it took, and what became of it."""
    told = {"call": call, "stream": stream, "at": time.time()}
    try:
        result = act()
        say(**told, seconds=time.time() - told["at"])
        return result
    except RuntimeError as error:
        say(**told, seconds=time.time() - told["at"], error=str(error))
        return None


def initialize(stream):
    extras = {"tags": ["failover"]} if has_tags else {}
    return once(
        "initialize",
        stream,
        lambda: streamer.initialize(stream_name=stream, physical_sample="failover", **extras),
    )


said = threading.Semaphore(0)


def listen():
    for _ in sys.stdin:
        said.release()
    said.release(2)


threading.Thread(target=listen, daemon=True).start()

if mode == "stream":
    data_id = initialize(name)
    say(opened=data_id)
    index = 0
    due = time.monotonic()
    while not said.acquire(timeout=max(0, due - time.monotonic())):
        push(data_id, index)
        index += 1
        due += 0.1
    say(pushed=index, channels=["single", "left", "right"] if has_multi else ["single"])
    said.acquire()
    once("finalize", name, lambda: streamer.finalize(data_id))
else:
    number = 0
    while not said.acquire(timeout=0.3):
        stream = f"{name}-{number}"
        number += 1
        data_id = initialize(stream)
        if data_id is None:
            continue
        push(data_id, 0)
        once("finalize", stream, lambda: streamer.finalize(data_id))
    say(lives=number)
    said.acquire()
