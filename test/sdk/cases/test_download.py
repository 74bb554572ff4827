"""download: a stream saved as a file"""

import csv

import pytest
from workbench import AWKWARD_DOUBLES, FOREIGN_KEY, START, ClientError, assert_same_bits, call, client, fresh, needs
from workbench import finished_stream, settled, streamer


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def readings(cells):
    return [None if cell == "" else float(cell) for cell in cells]


def awkward_stream(name):
    """Two streams of one name, a channel with awkward doubles and a missing reading, and one that a spreadsheet would run."""
    one = streamer(points_per_chunk=5)
    made = [one.initialize(stream_name=name) for _ in range(2)]
    times = [START + place / 3 for place in range(len(AWKWARD_DOUBLES))]
    one.run(made[0], "=t", [(times, AWKWARD_DOUBLES)], units="°C")
    one.run(made[0], "gap", [([START], [float("nan")])])
    one.run(made[1], "=t", [([START], [1.0])])
    for data_id, channel, points in ((made[0], "=t", len(times)), (made[0], "gap", 1), (made[1], "=t", 1)):
        settled(data_id, channel, points)
    return made, times


@needs("client.download")
def test_processed_data_is_one_row_for_each_instant(tmp_path):
    name = fresh("Run 7/b")
    (data_id, other), times = awkward_stream(name)
    client().download([data_id, other], dest_dir=tmp_path)
    saved = {path.name: path for path in tmp_path.iterdir()}
    word = name.replace(" ", "_").replace("/", "_")
    assert set(saved) == {f"{word}-{one[:8]}-wide.csv" for one in (data_id, other)}
    table = rows(saved[f"{word}-{data_id[:8]}-wide.csv"])
    assert list(table[0]) == ["time", "timestamp", "'=t", "gap"]
    assert_same_bits(readings(row["timestamp"] for row in table), times)
    assert_same_bits(readings(row["'=t"] for row in table), AWKWARD_DOUBLES)
    assert {row["gap"] for row in table} == {""}


@needs("client.download")
def test_raw_data_is_every_point_as_it_was_sent(tmp_path):
    (data_id, _), times = awkward_stream(fresh("raw"))
    client().download(data_id, dest_dir=tmp_path, data_type="raw")
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(f"-{data_id[:8]}-long.csv")
    table = rows(path)
    points = [row for row in table if row["channel_name"] == "'=t"]
    assert_same_bits(readings(row["timestamp"] for row in points), times)
    assert_same_bits(readings(row["value"] for row in points), AWKWARD_DOUBLES)
    assert {row["units"] for row in points} == {"°C"}
    assert [row["value"] for row in table if row["channel_name"] == "gap"] == [""]


@needs("client.download_videos")
def test_the_older_call_saves_the_same_file(tmp_path):
    data_id = finished_stream(points=3, stream_name="older")
    client().download_videos(data_id, dest_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == f"older-{data_id[:8]}-wide.csv"
    assert [row["temperature"] for row in rows(path)] == ["500.0", "501.0", "502.0"]


@needs("client.download")
def test_what_is_not_ours_is_not_saved(tmp_path):
    data_id = finished_stream(stream_name=fresh("not theirs"))
    with pytest.raises(ClientError, match="No processed data found"):
        client(key=FOREIGN_KEY).download(data_id, dest_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_address_holds_no_key_and_needs_one():
    data_id = finished_stream()
    answered = call("GET", f"/data_entries/raw_data/{data_id}", params={"return_as": "url-download"}).json()
    assert "key" not in answered["url"].lower()
    path = answered["url"].split("/", 3)[3]
    assert call("GET", f"/{path}", key="").status_code == 401
    assert call("GET", f"/{path}").text.startswith("channel_name,")
