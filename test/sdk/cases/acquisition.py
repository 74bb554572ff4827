"""An acquisition as an instrument's adapter runs it, in a process of its own: acquisition.py JOURNAL PORT.

It polls the instrument, cuts chunks by the clock, writes each to a journal before it hands it to the streamer, and
finalizes straight behind the last one when it is told to stop. Started again on a journal with an open stream, it
sends the newest chunks of the journal again, as it cannot know which of them have arrived, and goes on behind them.
"""

import random
import sqlite3
import sys
import threading
import time
from json import dumps, loads
from os import environ

from ellipsometer import SET_MODEL, START, STOP, Instrument
from workbench import streamer

POINTS_PER_CHUNK = 10
FLUSH_SECONDS = 0.1
UNITS = {"thickness": "nm", "psi_465": "deg", "delta_465": "deg"}
REPLAYED_CHUNKS = 6


def main(journal_file, port):
    journal = sqlite3.connect(journal_file, isolation_level=None)
    journal.execute("create table if not exists run (data_id text)")
    journal.execute(
        "create table if not exists chunk (chunk_index int, channel text, times text, readings text, "
        "primary key (chunk_index, channel))"
    )
    one = streamer(points_per_chunk=POINTS_PER_CHUNK)
    known = journal.execute("select data_id from run").fetchone()
    if known is None:
        data_id = one.initialize(**loads(environ["ACQUISITION_LINKS"]))
        journal.execute("insert into run values (?)", (data_id,))
        index = 0
    else:
        (data_id,) = known
        index = replay(journal, one, data_id)
    instrument = Instrument(port)
    instrument.command(SET_MODEL, b"\x02")
    instrument.command(START)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    print(data_id, flush=True)
    while not stop.is_set():
        flush(journal, one, data_id, index, collect(instrument, stop))
        index += 1
    one.finalize(data_id)
    instrument.command(STOP)
    # An adapter lives on and waits for the next run: pushes that are still under way reach the server.
    print("finalized", flush=True)
    time.sleep(60)


def replay(journal, one, data_id):
    (last,) = journal.execute("select max(chunk_index) from chunk").fetchone()
    newest = "select * from chunk where chunk_index > ? order by chunk_index, channel"
    for index, channel, times, readings in journal.execute(newest, (last - REPLAYED_CHUNKS,)).fetchall():
        one.push(data_id, index, channel, loads(times), loads(readings), units=UNITS.get(channel))
    return last + 1


def collect(instrument, stop):
    """What the instrument shows until the next flush is due; polls come as late as they like."""
    buffered = {}
    due = time.monotonic() + FLUSH_SECONDS
    while time.monotonic() < due and not stop.is_set():
        at = time.time()
        for channel, reading in instrument.parameters().items():
            times, readings = buffered.setdefault(channel, ([], []))
            times.append(at)
            readings.append(reading)
        time.sleep(random.uniform(0.002, 0.015))
    return buffered


def flush(journal, one, data_id, index, buffered):
    rows = [(index, channel, dumps(times), dumps(readings)) for channel, (times, readings) in buffered.items()]
    journal.execute("begin")
    journal.executemany("insert into chunk values (?, ?, ?, ?)", rows)
    journal.execute("commit")
    channels = {}
    for channel, (times, readings) in buffered.items():
        channels[channel] = {"timestamps": times, "values": readings}
        if channel in UNITS:
            channels[channel]["units"] = UNITS[channel]
    one.push_multi(data_id, index, channels)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
