"""measured records that were not made for this test"""

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy
from workbench import (
    assert_same_bits,
    assert_stored,
    client,
    frame,
    fresh,
    has,
    ids,
    make_project,
    milliseconds,
    row,
    streamer,
    timeseries,
)

RECORDS = Path(__file__).parents[3] / "node_modules" / "vega-datasets" / "data"
HOURS_PER_WEEK = 168


def read_record(file, time_column):
    """Rows of a record and their times in seconds; the record names no zone, so it is read as UTC."""
    with (RECORDS / file).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return rows, [datetime.fromisoformat(one[time_column]).replace(tzinfo=UTC).timestamp() for one in rows]


def named_links(subject):
    names = {"stream_name": fresh(subject), "physical_sample": fresh("Site")}
    if has("initialize.tags") or not has("streamer"):
        names["tags"] = ["measured", fresh("record")]
    return names, make_project(fresh(subject))


def assert_found_by_everything(data_id, names, project, length_seconds):
    shown = row(data_id)
    assert shown["File Name"] == names["stream_name"]
    assert shown["Status"] == "success"
    assert shown["Physical Sample Name"] == names["physical_sample"]
    assert sorted(shown["Tags"]) == sorted(names.get("tags", []))
    assert shown["Growth Length"] == length_seconds
    asked = [{"keywords": names["stream_name"]}, {"keywords": names["physical_sample"]}]
    if "tags" in names:
        asked.append({"keywords": names["tags"][1]})
    if has("client.list_projects"):
        assert shown["Project ID"] == project
        asked += [{"physical_sample_ids": shown["Physical Sample ID"]}, {"project_ids": project}]
    for one in asked:
        assert ids(client().search(**one)) == {data_id}, one


def assert_frame_equal(shown, times, columns):
    assert list(shown.columns) == ["UNIX Timestamp", "Time", *columns]
    assert shown["UNIX Timestamp"].dtype == numpy.int64
    assert list(shown["UNIX Timestamp"]) == [milliseconds(time) for time in times]
    assert_same_bits(list(shown["Time"]), [time - times[0] for time in times])
    for name, values in columns.items():
        assert shown[name].dtype == numpy.float64
        assert_same_bits(list(shown[name]), values)


def test_a_year_of_hourly_temperature_and_pressure_in_seattle():
    rows, times = read_record("seattle-weather-hourly-normals.csv", "date")
    assert len(rows) > 8_000 and times == sorted(set(times))
    channels = {
        "temperature": ([float(one["temperature"]) for one in rows], "°C"),
        "pressure": ([float(one["pressure"]) for one in rows], "hPa"),
    }
    names, project = named_links("Seattle hourly normals")
    one = streamer(points_per_chunk=HOURS_PER_WEEK)
    data_id = one.initialize(project_id=project, **names)
    for index, at in enumerate(range(0, len(rows), HOURS_PER_WEEK)):
        week = slice(at, at + HOURS_PER_WEEK)
        one.push_multi(
            data_id,
            index,
            {
                name: {"timestamps": times[week], "values": values[week], "units": units}
                for name, (values, units) in channels.items()
            },
        )
    one.finalize(data_id)

    for name, (values, _) in channels.items():
        assert_stored(data_id, name, times, values)
    assert_found_by_everything(data_id, names, project, times[-1] - times[0])
    properties = timeseries(data_id)["properties"]
    assert {name: one["units"] for name, one in properties.items()} == {"temperature": "°C", "pressure": "hPa"}
    columns = {name: channels[name][0] for name in properties}
    assert_frame_equal(frame(data_id), times, columns)
    if has("client.get_physical_sample"):
        sample = client().get_physical_sample(row(data_id)["Physical Sample ID"])
        assert_frame_equal(sample.data_results[0].timeseries_data, times, columns)


def test_sixty_years_of_carbon_dioxide_on_mauna_loa():
    rows, times = read_record("co2-concentration.csv", "Date")
    # The record begins in 1958: its first twelve years lie before the epoch.
    assert len(rows) > 700 and times[0] < 0 and times == sorted(set(times))
    columns = {name: [float(one[name]) for one in rows] for name in ("CO2", "adjusted CO2")}
    names, project = named_links("Mauna Loa")
    one = streamer(points_per_chunk=12)
    data_id = one.initialize(project_id=project, **names)
    for name, values in columns.items():
        one.run(
            data_id,
            name,
            ((times[at : at + 12], values[at : at + 12]) for at in range(0, len(rows), 12)),
            units="ppm",
        )
    one.finalize(data_id)

    for name, values in columns.items():
        assert_stored(data_id, name, times, values)
    assert_found_by_everything(data_id, names, project, times[-1] - times[0])
    properties = timeseries(data_id)["properties"]
    assert {name: one["units"] for name, one in properties.items()} == {"CO2": "ppm", "adjusted CO2": "ppm"}
    assert_frame_equal(frame(data_id), times, {name: columns[name] for name in properties})
