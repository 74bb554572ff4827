"""
What schemathesis cannot know of this API: which things there are, and which rules no JSON Schema can say. Counts the
answers of each operation into the file REPORT.
"""

import atexit
import json
import os
import re
import sys
from collections import Counter, defaultdict

import jsonschema_rs
import schemathesis
from schemathesis.openapi.checks import EnsureResourceAvailability

sys.path.insert(0, os.path.dirname(__file__))
import things  # noqa: E402

calls = defaultdict(Counter)
excluded = Counter()
# Ids of all that was made; of everything else a 404 is right.
given_ids = set()
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
GIVEN = re.compile(UUID + r'|(?<="synth_source_id":)\d+')
NOT_FOUND = re.compile(UUID + r"|\d+(?= not found)")

# Every fourth request stays as it was made up, with ids that nobody has.
LEFT_ALONE = 4
LIST_LENGTH_MAX = 100


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets valid requests name things that are there. Those of the stateful phase name what earlier answers gave them."""
    label = case.operation.label
    calls[label]["made"] += 1
    shorten(case.query or {})
    if label.endswith("/live") and not isinstance((case.query or {}).get("max_seconds"), str):
        # What is followed never ends by itself.
        case.query = {**(case.query or {}), "max_seconds": 0}
    if label == "DELETE /data_entries/" and things.is_needed((case.query or {}).get("data_ids")):
        case.query["data_ids"] = [things.open_stream()]
    if label == "DELETE /projects/{project_id}" and (case.path_parameters or {}).get("project_id") == things.project:
        case.path_parameters["project_id"] = things.doomed_project()
    # Numbers of keys are small, so that one that is made up may be that of the key with which all of this is asked.
    path = case.path_parameters or {}
    if str(path.get("key_id")) == str(things.own["key_id"]):
        path["key_id"] = str(things.doomed_key()["key_id"])
    if path.get("user_id") == things.own["user_id"]:
        path["user_id"] = things.doomed_key()["user_id"]
    if label == "POST /session" and isinstance(case.body, dict) and "api_key" in case.body:
        if calls[label]["made"] % LEFT_ALONE != 0:
            case.body["api_key"] = os.environ["API_KEY"]
    if case.meta is None or not case.meta.generation.mode.is_positive or case.method != case.operation.method.upper():
        return
    if label.endswith(("/chunk", "/chunk/multi")):
        for readings in [case.body, *case.body.get("channels", {}).values()]:
            pair_up(readings)
    if case.meta.phase.name.value == "stateful" or calls[label]["made"] % LEFT_ALONE == 0:
        return
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            name_things(label, place)
    # What an operation does not need may still be what makes it find something.
    case.query = {**(case.query or {}), **needed_queries(label)}


def shorten(query):
    """Lists that no schema bounds: longer than a URL may be, all that is wrong elsewhere would only be answered 431."""
    for name, value in query.items():
        if isinstance(value, list):
            query[name] = value[:LIST_LENGTH_MAX]


def name_things(label, fields):
    stream = things.read_stream
    if label.endswith(("/chunk", "/chunk/multi", "/finalize")):
        stream = things.written_streams[calls[label]["made"] % len(things.written_streams)]
    known = {
        "data_id": lambda: stream,
        "data_ids": lambda: [fresh_stream(label)],
        "physical_sample_id": lambda: things.sample,
        "physical_sample_ids": lambda: [things.sample],
        "project_id": lambda: things.doomed_project() if label == "DELETE /projects/{project_id}" else things.project,
        "project_ids": lambda: [things.project],
        "tag_ids": lambda: [things.tag],
        "synth_source_id": lambda: things.instrument,
        "key_id": lambda: str(things.doomed_key()["key_id"]),
        "user_id": lambda: things.doomed_key()["user_id"],
        "growth_instrument_id": lambda: things.instrument,
        "synthesis_instrument_ids": lambda: [things.new_instrument()],
        "channel": lambda: "thickness",
        "channel_names": lambda: ["thickness"],
        "revision": lambda: "1" if "revisions/{revision}" in label else 1,
        "start": lambda: "2024-01-15T08:00:00Z",
        "end": lambda: "1705315800.5",
    }
    for name in fields:
        if name in known:
            fields[name] = known[name]()
        elif name.endswith(("datetime_min", "last_updated_min")):
            fields[name] = "2020-01-31 08:00:00"
        elif name.endswith(("datetime_max", "last_updated_max")):
            fields[name] = "2120-01-31T08:00:00Z"
        elif name == "channel_name" and "/chunks" in label:
            fields[name] = ["thickness"] if isinstance(fields[name], list) else "thickness"
        elif name == "chunk_index":
            fields[name] = 0 if "/chunks" in label else int(fields[name]) % 2**40


def pair_up(readings):
    """As many timestamps as values, and at least one: a rule between two fields."""
    if "timestamps" not in readings:
        return
    pairs = list(zip(readings["timestamps"], readings["values"])) or [(1705312200.5, None)]
    readings["timestamps"], readings["values"] = (list(column) for column in zip(*pairs))


def fresh_stream(label):
    """What is deleted or restored is needed by nobody else."""
    if label == "DELETE /data_entries/":
        return things.open_stream()
    if label == "POST /data_entries/restore":
        return things.deleted_stream()
    return things.read_stream


def needed_queries(label):
    if label in ("GET /exports/", "GET /exports/metadata/"):
        return {"data_ids": [things.read_stream]}
    return {}


@schemathesis.hook
def after_call(context, case, response):
    if response.request.method == "POST" and response.status_code < 300:
        given_ids.update(GIVEN.findall(response.text))
    if response.request.method == case.operation.method.upper():
        calls[case.operation.label][str(response.status_code)] += 1
    else:
        calls[case.operation.label]["other method"] += 1


# Where a check is wrong: (failure, text of the answer, reason). Whatever is not here fails the run.
EXCLUSIONS = [
    (
        "RejectedPositiveData",
        r"must not hold U\+0000",
        "the pattern that forbids U+0000 and surrogates is dropped by schemathesis, whose regular expressions lack them",
    ),
    ("RejectedPositiveData", r"chunk_index × points_per_chunk", "a rule between a field and the stream"),
    ("RejectedPositiveData", r"must not be blank", "blank is what Unicode says, not a pattern"),
    ("RejectedPositiveData", r"must be a date-time such as", "more than format: date-time is taken, so it is not stated"),
    ("RejectedPositiveData", r"say which streams", "one of many fields must be there"),
    ("RejectedPositiveData", r"is of the wide layout|is of fill=previous|do not go together|; give \w+ too|has all entries: \w+ is for json", "a rule between two parameters"),
    ("RejectedPositiveData", r"cursor must be the next_cursor of an answer before", "what no answer has said is none"),
    (
        "UnsupportedMethodResponse|AllowHeaderMismatch",
        r'"input":"(physical_sample|restore)"|OPTIONS /data_entries/(physical_sample|restore) ',
        "this path is one of PATCH /data_entries/{data_id} too, where the word is refused as no id",
    ),
]


def follows_schema(case):
    """Whether the document allows a body that was meant to break it: "string or null" is broken as each of the two."""
    operation = case.operation.schema.raw_schema["paths"][case.operation.path][case.operation.method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return content is not None and jsonschema_rs.is_valid(without_surrogates(content["schema"]), case.body)


def without_surrogates(schema):
    """Leaves out the pattern that forbids them, which regular expressions here lack."""
    if isinstance(schema, list):
        return [without_surrogates(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: without_surrogates(one) for name, one in schema.items() if not (isinstance(one, str) and "ud800" in one)}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if type(failure).__name__ == "AcceptedNegativeData" and failure.message.endswith("positive test case"):
        # schemathesis judges a request anew after before_call has put things into it.
        excluded["the request was meant to be right"] += 1
        return False
    if type(failure).__name__ == "AcceptedNegativeData" and "in body" in failure.message and follows_schema(case):
        excluded["the body that was meant to be wrong is right"] += 1
        return False
    named = NOT_FOUND.findall(response.text)
    if isinstance(failure, EnsureResourceAvailability) and named and given_ids.isdisjoint(named):
        excluded["the id that is not found is another one of the request, which was made up"] += 1
        return False
    for name, text, reason in EXCLUSIONS:
        if re.fullmatch(name, type(failure).__name__) and re.search(text, response.text):
            excluded[reason] += 1
            return False
    return True


@atexit.register
def report():
    with open(os.environ["REPORT"], "w", encoding="utf-8") as file:
        json.dump({"calls": calls, "excluded": excluded}, file)
