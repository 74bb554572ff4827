"""initialize: samples, projects, tags and instruments"""

import contextlib
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest
from workbench import (
    ENDPOINT,
    KEY,
    answer,
    client,
    fresh,
    has,
    ids,
    make_project,
    needs,
    row,
    streamer,
)

NEEDS = ("streamer",)


def sample_id_of(name):
    """The id of the one sample with exactly this name."""
    samples = client().list_physical_samples()
    (found,) = list(samples[samples["Physical Sample Name"] == name]["Physical Sample ID"])
    return found


def tags_named(name):
    return [tag for tag in answer("GET", "/tags/") if tag["name"].lower() == name.lower()]


def assert_left_behind(name):
    """What a failed initialize leaves: nothing, or an open stream where the release looks up only after making it."""
    left = client().search(keywords=name)
    assert list(left["Status"] if len(left) else []) == ([] if has("clock") else ["stream_active"])


def test_with_nothing_set():
    data_id = streamer().initialize()
    assert str(uuid.UUID(data_id)) == data_id
    shown = row(data_id)
    assert shown["Status"] == "stream_active"
    assert shown["Type"] == "metrology"
    assert shown["File Name"]
    assert not shown["Physical Sample ID"]


def test_the_stream_name_is_kept_as_given():
    name = fresh("Lauf 7: GaAs/AlGaAs – 580 °C 🌡")
    assert row(streamer().initialize(stream_name=name))["File Name"] == name


def test_two_streams_of_one_name_are_two_streams():
    name = fresh("run")
    first, second = (streamer().initialize(stream_name=name) for _ in range(2))
    assert first != second
    assert ids(client().search(keywords=name)) == {first, second}


def test_a_new_sample_by_name():
    name = fresh("Wafer")
    data_id = streamer().initialize(physical_sample=f"  {name} ")
    shown = row(data_id)
    assert shown["Physical Sample Name"] == name
    assert shown["Physical Sample ID"] == sample_id_of(name)


def test_an_existing_sample_in_other_casing():
    name = fresh("Wafer")
    streamer().initialize(physical_sample=name)
    shown = row(streamer().initialize(physical_sample=name.upper()))
    assert shown["Physical Sample Name"] == name
    assert shown["Physical Sample ID"] == sample_id_of(name)
    samples = client().list_physical_samples()
    assert sum(samples["Physical Sample Name"].str.lower() == name.lower()) == 1


def test_a_sample_by_uuid():
    name = fresh("Wafer")
    streamer().initialize(physical_sample=name)
    shown = row(streamer().initialize(physical_sample=sample_id_of(name)))
    assert shown["Physical Sample Name"] == name


def test_an_unknown_sample_uuid_raises():
    name = fresh("run")
    with pytest.raises(RuntimeError, match="not found"):
        streamer().initialize(stream_name=name, physical_sample=str(uuid.uuid4()))
    assert_left_behind(name)


def test_a_project_without_a_sample():
    name = fresh("project")
    project = make_project(name)
    shown = row(streamer().initialize(project_id=project))
    assert (shown["Project ID"], shown["Project Name"]) == (project, name)


def test_a_project_with_a_sample_tracks_the_sample():
    project, name = make_project(), fresh("Wafer")
    data_id = streamer().initialize(project_id=f" {project} ", physical_sample=name)
    assert row(data_id)["Project ID"] == project
    members = answer("GET", f"/projects/{project}/physical_samples")
    assert [member["name"] for member in members] == [name]
    (shown,) = [one for one in answer("GET", "/projects/") if one["id"] == project]
    tracked = shown["configuration"]
    assert tracked["tracking_physical_sample_ids"] == [members[0]["id"]]
    assert tracked["active_tracking_physical_sample_id"] == members[0]["id"]


def test_a_second_sample_of_a_project_becomes_the_active_one():
    project, first, second = make_project(), fresh("Wafer"), fresh("Wafer")
    for name in (first, second, second):
        streamer().initialize(project_id=project, physical_sample=name)
    (shown,) = [one for one in answer("GET", "/projects/") if one["id"] == project]
    tracked = shown["configuration"]
    assert tracked["tracking_physical_sample_ids"] == [sample_id_of(first), sample_id_of(second)]
    assert tracked["active_tracking_physical_sample_id"] == sample_id_of(second)


def test_an_unknown_project_raises_and_leaves_no_open_stream():
    for project in (str(uuid.uuid4()), "not-a-uuid"):
        for sample in (None, fresh("Wafer")):
            name = fresh("run")
            with pytest.raises(RuntimeError):
                streamer().initialize(stream_name=name, project_id=project, physical_sample=sample)
            assert ids(client().search(keywords=name, status="stream_active")) == set()


@needs("initialize.tags")
def test_new_tags_also_with_colons_and_all_digits():
    digits = str(uuid.uuid4().int)
    wanted = [fresh("instrument:filmsense_fs1"), digits, fresh("Bay µ 3")]
    data_id = streamer().initialize(tags=[f" {wanted[0]} ", "", "  ", *wanted[1:], wanted[0].upper()])
    assert sorted(row(data_id)["Tags"]) == sorted(wanted)


@needs("initialize.tags")
def test_an_existing_tag_in_other_casing():
    name = fresh("Growth")
    streamer().initialize(tags=[name])
    assert row(streamer().initialize(tags=[name.upper()]))["Tags"] == [name]
    assert len(tags_named(name)) == 1


@needs("initialize.tags")
def test_a_tag_by_uuid():
    name = fresh("Growth")
    streamer().initialize(tags=[name])
    assert row(streamer().initialize(tags=[tags_named(name)[0]["id"]]))["Tags"] == [name]


@needs("initialize.tags")
def test_an_unknown_tag_uuid_raises():
    name = fresh("run")
    with pytest.raises(RuntimeError, match="not found"):
        streamer().initialize(stream_name=name, tags=[str(uuid.uuid4())])
    assert_left_behind(name)


def test_a_growth_instrument():
    label = fresh("Main MBE")
    instrument = client().create_growth_instrument(label=label, name="Veeco GEN10", instrument_type="mbe")
    assert row(streamer().initialize(synth_source_id=instrument))["Instrument Source"] == label


def test_an_unknown_growth_instrument_raises():
    name = fresh("run")
    with pytest.raises(RuntimeError, match="404"):
        streamer().initialize(stream_name=name, synth_source_id=2_000_000_000)
    assert ids(client().search(keywords=name)) == set()


def test_zero_points_per_chunk_raises_and_names_the_field():
    name = fresh("run")
    with pytest.raises(RuntimeError, match="422(.|\n)*points_per_chunk"):
        streamer(points_per_chunk=0).initialize(stream_name=name)
    assert ids(client().search(keywords=name)) == set()


def test_four_processes_that_start_at_once_share_one_new_sample_and_tag():
    script = textwrap.dedent(
        """
        import sys
        from atomscale.streaming import TimeseriesStreamer
        endpoint, key, sample, *tags = sys.argv[1:]
        streamer = TimeseriesStreamer(api_key=key, endpoint=endpoint)
        print("ready", flush=True)
        sys.stdin.readline()
        links = {"tags": tags} if tags else {}
        print(streamer.initialize(physical_sample=sample, **links), flush=True)
        """
    )
    sample, tag = fresh("Wafer"), fresh("Growth")
    tags = [tag] if has("initialize.tags") else []
    command = [sys.executable, "-c", script, ENDPOINT, KEY, sample, *tags]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        made = [process.stdout.readline().strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert len(set(made)) == 4 and all(made)
    rows = client().search(data_ids=made)
    assert set(rows["Physical Sample ID"]) == {sample_id_of(sample)}
    assert list(rows["Tags"]) == [tags] * 4
    assert len(tags_named(tag)) == len(tags)


@contextlib.contextmanager
def proxy_that_refuses(*ends):
    """The address of a proxy before the server that answers 503 to paths with one of these ends."""
    script = Path(__file__).parent / "failing_proxy.py"
    proxy = subprocess.Popen(
        [sys.executable, str(script), ENDPOINT, *ends], stdout=subprocess.PIPE, text=True
    )
    try:
        yield f"http://127.0.0.1:{int(proxy.stdout.readline())}"
    finally:
        proxy.kill()
        proxy.wait()


@needs("clock")
def test_a_sample_a_project_and_tags_are_linked_at_once():
    name, project = fresh("run"), make_project(fresh("project"))
    sample, tag = fresh("wafer"), fresh("tag")
    data_id = streamer().initialize(
        stream_name=name, physical_sample=sample, project_id=project, tags=[tag, "growth"]
    )
    shown = row(data_id)
    assert shown["Physical Sample Name"] == sample
    assert shown["Project ID"] == project
    assert sorted(shown["Tags"]) == sorted([tag, "growth"])


@needs("clock")
def test_when_linking_fails_the_empty_stream_is_finalized():
    project = make_project(fresh("project"))
    for end in ("/data_entries/physical_sample", "/configuration/tracking_samples", "/tags/data-items"):
        name = fresh("run")
        links = {"physical_sample": fresh("wafer"), "project_id": project, "tags": [fresh("tag")]}
        with proxy_that_refuses(end) as endpoint:
            with pytest.raises(RuntimeError, match="could not be linked, so it was ended") as failed:
                streamer(endpoint=endpoint).initialize(stream_name=name, **links)
        left = client().search(keywords=name)
        assert list(left["Status"]) == ["success"]
        (data_id,) = left["Data ID"]
        assert data_id in str(failed.value)
        assert answer("GET", f"/tool-state/{data_id}/timeseries/")["properties"] == {}
        # The same again works, and finds the sample and the tag that were made before.
        again = row(streamer().initialize(stream_name=name, **links))
        assert again["Status"] == "stream_active"
        assert again["Physical Sample Name"] == links["physical_sample"]
        assert list(again["Tags"]) == links["tags"]


@needs("clock")
def test_when_ending_fails_too_the_stream_that_is_left_can_be_finalized():
    name = fresh("run")
    with proxy_that_refuses("/tags/data-items", "/finalize") as endpoint:
        with pytest.raises(RuntimeError, match="ending it failed") as failed:
            streamer(endpoint=endpoint).initialize(stream_name=name, tags=[fresh("tag")])
    (data_id,) = client().search(keywords=name)["Data ID"]
    assert f'finalize("{data_id}")' in str(failed.value)
    streamer().finalize(data_id)
    assert row(data_id)["Status"] == "success"
