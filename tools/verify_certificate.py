#!/usr/bin/env python3
"""Checks an export of a stream against its certificate.

    python3 verify_certificate.py certificate.json export.csv

The export is one in the long layout, of this stream or of several, as CSV or, where pyarrow is installed, as Parquet
(a file that ends in .parquet). The hash of every chunk, of every channel and of the whole is computed anew from its rows,
as docs/reading.md of metrology-server defines them. Needs nothing but Python 3, and memory for one chunk.

Exit status: 0 when the export holds exactly what the certificate says, 1 when it does not, 2 when it cannot be read.
"""

import csv
import hashlib
import json
import struct
import sys
from itertools import groupby

COLUMNS = ["channel_name", "chunk_index", "timestamp", "value", "units"]


def float8_array(numbers):
    """The binary image of a float8[] of PostgreSQL; None is NULL."""
    head = struct.pack(">iiiii", 1, int(None in numbers), 701, len(numbers), 1)
    elements = (struct.pack(">i", -1) if number is None else struct.pack(">id", 8, number) for number in numbers)
    return head + b"".join(elements)


def content_hash(points, units):
    digest = hashlib.sha256(float8_array([timestamp for timestamp, _ in points]))
    digest.update(float8_array([value for _, value in points]))
    if units is not None:
        digest.update(b"\0" + units.encode("utf-8"))
    return digest.digest()


def number(text):
    return float(text) if text else None


def csv_rows(path, data_id):
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            if row.get("data_id", data_id) == data_id:
                name, index, timestamp, value, units = (row[column] for column in COLUMNS)
                yield name, int(index), number(timestamp), number(value), units or None


def parquet_rows(path, data_id):
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(path)
    columns = COLUMNS + [name for name in ["data_id"] if name in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=10_000, columns=columns):
        lists = [batch.column(column).to_pylist() for column in columns]
        for row in zip(*lists):
            if row[5:] in ((), (data_id,)):
                yield row[:5]


def account_of(name, rows):
    """What the certificate says of a channel, computed from its rows."""
    digest = hashlib.sha256()
    last_index = -1
    chunk_count = point_count = null_count = 0
    for (index, units), chunk in groupby(rows, lambda row: (row[1], row[4])):
        points = [(timestamp, value) for _, _, timestamp, value, _ in chunk]
        if index <= last_index:
            raise ValueError(f"chunk {index} of {name!r} comes after chunk {last_index}: not the order of an export")
        digest.update(struct.pack(">q", index) + content_hash(points, units))
        last_index = index
        chunk_count += 1
        point_count += len(points)
        null_count += sum(value is None for _, value in points)
    return {
        "channel_hash": digest.hexdigest(),
        "chunk_count": chunk_count,
        "missing_count": last_index + 1 - chunk_count,
        "point_count": point_count,
        "null_count": null_count,
    }


def root_of(hashes):
    root = hashlib.sha256()
    for name in sorted(name.encode("utf-8") for name in hashes):
        root.update(struct.pack(">I", len(name)) + name + bytes.fromhex(hashes[name.decode("utf-8")]))
    return root.hexdigest()


def differences(certified, found):
    for name in sorted({*certified, *found}):
        said, seen = certified.get(name), found.get(name)
        if said is None or seen is None:
            yield f"{name!r} is {'not certified' if said is None else 'not in the export'}"
        else:
            # Which indexes a channel leaves out by habit is for the certificate to say; how many are not there is not.
            said = {**said, "missing_count": said["missing_count"] + said.get("skipped_count", 0)}
            for what, value in seen.items():
                if said[what] != value:
                    yield f"{name!r}: {what} {said[what]} is certified, the export has {value}"


def main(certificate_path, export_path):
    with open(certificate_path, encoding="utf-8") as file:
        certificate = json.load(file)
    read = parquet_rows if export_path.endswith(".parquet") else csv_rows
    found = {}
    for name, rows in groupby(read(export_path, certificate["data_id"]), lambda row: row[0]):
        if name in found:
            raise ValueError(f"{name!r} stands in two places: not the order of an export")
        found[name] = account_of(name, rows)
    root = root_of({name: account["channel_hash"] for name, account in found.items()})
    problems = list(differences({channel["channel_name"]: channel for channel in certificate["channels"]}, found))
    if root != certificate["root_hash"]:
        problems.append(f"root_hash {certificate['root_hash']} is certified, the export has {root}")
    print(*problems, sep="\n", end="\n" if problems else "")
    chunks, points = (sum(account[what] for account in found.values()) for what in ["chunk_count", "point_count"])
    verdict = "NOT what is certified" if problems else "as certified"
    print(f"{len(found)} channels, {chunks} chunks, {points} points: {verdict}, root {root}")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, ValueError, KeyError, TypeError, ImportError, csv.Error, struct.error) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
