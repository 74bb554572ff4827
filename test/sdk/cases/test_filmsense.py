"""an ellipsometer's adapter, killed in the middle of a run"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from ellipsometer import PARAMETERS, Ellipsometer
from workbench import (
    assert_same_bits,
    client,
    eventually,
    fresh,
    frame,
    make_project,
    milliseconds,
    row,
    stored_chunks,
    timeseries,
)

NEEDS = ("streamer", "initialize.tags")

CHUNKS_BEFORE_THE_KILL = 8
CHUNKS_AT_THE_END = 24
# What may be missing at the server when the process dies: fewer chunks than are replayed.
CHUNKS_UNDER_WAY_MAX = 4


def start(journal, instrument, links):
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("acquisition.py")), str(journal), str(instrument.port)],
        env={**os.environ, "ACQUISITION_LINKS": json.dumps(links)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def journaled(journal):
    """channel -> [(chunk index, times, readings)] of everything that was ever handed to the streamer."""
    with closing(sqlite3.connect(journal, timeout=10)) as opened:
        rows = opened.execute("select * from chunk order by chunk_index").fetchall()
    found = {}
    for index, channel, times, readings in rows:
        found.setdefault(channel, []).append((index, json.loads(times), json.loads(readings)))
    return found


def last_index(journal):
    return max((chunks[-1][0] for chunks in journaled(journal).values()), default=-1)


def indices(data_id, channel):
    return {chunk["chunk_index"] for chunk in stored_chunks(data_id, channel)}


def test_a_whole_acquisition_with_a_kill_and_a_replay(tmp_path):
    journal, instrument = tmp_path / "journal.sqlite", Ellipsometer()
    recipe, sample, project = fresh("Al2O3"), fresh("wafer"), make_project()
    tags = ["instrument:filmsense_fs1", f"model:{recipe}"]
    links = {"stream_name": recipe, "physical_sample": sample, "project_id": project, "tags": tags}

    first = start(journal, instrument, links)
    try:
        data_id = first.stdout.readline().strip()

        def far_enough():
            last = last_index(journal)
            arrived = set(range(last - CHUNKS_UNDER_WAY_MAX + 1)) <= indices(data_id, "thickness")
            return last >= CHUNKS_BEFORE_THE_KILL and arrived

        eventually(far_enough)
        first.send_signal(signal.SIGKILL)
    finally:
        first.kill()
        first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert row(data_id)["Status"] == "stream_active"
    killed_at = last_index(journal)

    second = start(journal, instrument, links)
    try:
        assert second.stdout.readline().strip() == data_id
        eventually(lambda: last_index(journal) >= CHUNKS_AT_THE_END, seconds_max=30)
        second.stdin.write("stop\n")
        second.stdin.flush()
        assert second.stdout.readline() == "finalized\n"
        sent = journaled(journal)
        eventually(lambda: all(indices(data_id, channel) == {one[0] for one in sent[channel]} for channel in sent))
    finally:
        second.kill()
        second.communicate()
        instrument.close()

    assert_read_back_equal(data_id, sent)
    assert_looks_like_an_adapter(sent, killed_at, instrument)
    shown = row(data_id)
    assert (shown["Status"], shown["File Name"], shown["Physical Sample Name"]) == ("success", recipe, sample)
    assert (shown["Project ID"], sorted(shown["Tags"])) == (project, sorted(tags))
    assert set(client().search(keywords=f"model:{recipe}")["Data ID"]) == {data_id}


def assert_read_back_equal(data_id, sent):
    assert set(sent) == set(PARAMETERS)
    properties = timeseries(data_id)["properties"]
    assert {name: one["units"] for name, one in properties.items()} == {
        "thickness": "nm",
        "psi_465": "deg",
        "delta_465": "deg",
        "mse_fit": None,
    }
    columns = frame(data_id)
    for channel, chunks in sent.items():
        stored = stored_chunks(data_id, channel)
        assert [one["chunk_index"] for one in stored] == [index for index, _, _ in chunks]
        for one, (_, times, readings) in zip(stored, chunks, strict=True):
            assert_same_bits(one["timestamps"], times)
            assert_same_bits(one["values"], readings)
        by_millisecond = {
            milliseconds(time): reading
            for _, times, readings in chunks
            for time, reading in zip(times, readings, strict=True)
        }
        shown = columns.set_index("UNIX Timestamp")[channel]
        assert_same_bits(list(shown.loc[list(by_millisecond)]), list(by_millisecond.values()))


def assert_looks_like_an_adapter(sent, killed_at, instrument):
    """The run had what makes an adapter's runs hard; one without would prove nothing."""
    sizes = {len(times) for _, times, _ in sent["thickness"]}
    assert len(sizes) > 2, sizes
    with_fit = [index for index, _, _ in sent["mse_fit"]]
    assert set(range(max(with_fit))) - set(with_fit), "no flush was without a fit"
    assert [index for index, _, _ in sent["thickness"]] == list(range(len(sent["thickness"])))
    assert CHUNKS_BEFORE_THE_KILL <= killed_at < CHUNKS_AT_THE_END
    # Every reading that was kept is one of the instrument's, in its order; a flush at most was lost with the process.
    handed_out = [shown["thickness"] for shown in instrument.handed_out]
    kept = [reading for _, _, readings in sent["thickness"] for reading in readings]
    rest = iter(handed_out)
    assert all(reading in rest for reading in kept)
    assert len(handed_out) - len(kept) <= 60
    assert instrument.models == [2, 2]
