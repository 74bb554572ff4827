"""Reads a workbook with openpyxl and with pandas and prints the columns of both: read_xlsx.py FILE.

A number is printed as the hexadecimal digits of its float64, a date as milliseconds since 1970, null as null. A formula is an error.
"""

import datetime
import json
import struct
import sys

import openpyxl
import pandas

path = sys.argv[1]


def shown(value):
    if value is None or value is pandas.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, datetime.datetime):
        return {"ms": round((value - datetime.datetime(1970, 1, 1)) / datetime.timedelta(milliseconds=1))}
    if isinstance(value, str):
        return value
    return struct.pack(">d", float(value)).hex()


def columns(rows):
    names, *cells = rows
    return [{"name": name, "cells": [shown(row[i]) for row in cells]} for i, name in enumerate(names)]


sheet = openpyxl.load_workbook(path).active
for row in sheet.iter_rows():
    for cell in row:
        assert cell.data_type != "f", f"{cell.coordinate} is a formula"
frame = pandas.read_excel(path, keep_default_na=False, na_values=[""])
types = {name: str(kind) for name, kind in frame.dtypes.items()}
tables = {
    "openpyxl": columns(list(sheet.iter_rows(values_only=True))),
    "pandas": columns([list(frame.columns), *frame.itertuples(index=False, name=None)]),
}
print(json.dumps({**tables, "types": types}))
