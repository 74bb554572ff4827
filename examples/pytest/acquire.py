"""A small acquisition: what an instrument has measured goes to the server, in chunks, until all of it is there."""

import time

CHANNEL = "pressure"
UNITS = "mbar"


def acquire(streamer, name, chunks, tries=4, pause_seconds=0.5):
    """Streams `chunks`, each a pair of times (Unix seconds) and readings, and returns the id of the stream.

    The SDK sends a chunk again by itself, twice, and then gives it up. A chunk that is sent once more is stored once, so
    whatever failed can simply be done again as a whole.
    """
    data_id = streamer.initialize(stream_name=name)
    again(lambda: streamer.run(data_id, CHANNEL, iter(chunks), units=UNITS), tries, pause_seconds)
    again(lambda: streamer.finalize(data_id), tries, pause_seconds)
    return data_id


def again(work, tries, pause_seconds):
    """Does the work until it succeeds, at most so often; the last failure is the caller's."""
    for left in reversed(range(tries)):
        try:
            return work()
        except RuntimeError:
            if left == 0:
                raise
            time.sleep(pause_seconds)
