#!/usr/bin/env python3
"""Checks an export of a stream against its certificate.

    python3 verify_certificate.py certificate.json export.csv

The export is one in the long layout, of this stream or of several, as CSV or, where pyarrow is installed, as Parquet.
The hash of every chunk, of every channel and of the whole is computed anew from its rows,
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


class Unreadable(Exception):
    """Why a file cannot be checked, in a sentence that says what to do."""


def check_columns(path, columns):
    missing = [column for column in COLUMNS if column not in columns]
    if not missing:
        return
    if "timestamp" in columns:
        raise Unreadable(
            f"{path} is an export in the wide layout, which merges points of one time and leaves out their chunks, so that "
            "nothing can be computed from it. Export the stream with layout=long."
        )
    raise Unreadable(f"{path} is no export of a stream: it lacks {', '.join(missing)}. Export the stream with layout=long.")


def csv_rows(path, data_id):
    # With `bom=true` an export begins with a byte order mark.
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        check_columns(path, reader.fieldnames or [])
        for row in reader:
            if row.get("data_id", data_id) == data_id:
                name, index, timestamp, value, units = (row[column] for column in COLUMNS)
                if units is None:
                    raise Unreadable(f"{path} breaks off in line {reader.line_num}.")
                yield name, int(index), number(timestamp), number(value), units or None


def parquet_rows(path, data_id):
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise Unreadable(f"{path} is Parquet, which takes pyarrow: python3 -m pip install pyarrow. Or export as CSV.") from None

    file = ParquetFile(path)
    check_columns(path, file.schema_arrow.names)
    columns = COLUMNS + [name for name in ["data_id"] if name in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=10_000, columns=columns):
        lists = [batch.column(column).to_pylist() for column in columns]
        for row in zip(*lists):
            if row[5:] in ((), (data_id,)):
                yield row[:5]


def rows_of(path, data_id):
    """By what the file is, whatever its name."""
    with open(path, "rb") as file:
        begin = file.read(4)
    if begin == b"PAR1":
        return parquet_rows(path, data_id)
    if begin.startswith((b"PK", b"\x1f\x8b")):
        raise Unreadable(f"{path} is a spreadsheet or a compressed file. Export the stream with format=csv or format=parquet.")
    return csv_rows(path, data_id)


def read_certificate(path):
    try:
        with open(path, encoding="utf-8") as file:
            certificate = json.load(file)
        root = certificate["root_hash"]
        return certificate["data_id"], root, {channel["channel_name"]: channel for channel in certificate["channels"]}
    except (ValueError, KeyError, TypeError):
        raise Unreadable(f"{path} is no certificate: save what GET /metrology/stream/DATA_ID/certificate answers.") from None


def account_of(name, rows):
    """What the certificate says of a channel, computed from its rows."""
    digest = hashlib.sha256()
    last_index = -1
    chunk_count = point_count = null_count = 0
    for (index, units), chunk in groupby(rows, lambda row: (row[1], row[4])):
        points = [(timestamp, value) for _, _, timestamp, value, _ in chunk]
        if index <= last_index:
            raise Unreadable(f"Chunk {index} of {name!r} comes after chunk {last_index}: not the order of an export.")
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
    data_id, certified_root, certified = read_certificate(certificate_path)
    found = {}
    for name, rows in groupby(rows_of(export_path, data_id), lambda row: row[0]):
        if name in found:
            raise Unreadable(f"{name!r} stands in two places of {export_path}: not the order of an export.")
        found[name] = account_of(name, rows)
    root = root_of({name: account["channel_hash"] for name, account in found.items()})
    problems = list(differences(certified, found))
    if root != certified_root:
        problems.append(f"root_hash {certified_root} is certified, the export has {root}")
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
    except Unreadable as error:
        print(error, file=sys.stderr)
    except (OSError, ValueError, KeyError, TypeError, csv.Error, struct.error) as error:
        # Text that is no number, bytes that are no UTF-8, a file that is not there.
        print(f"{sys.argv[2]} cannot be checked against {sys.argv[1]}: {error}", file=sys.stderr)
    sys.exit(2)
