"""Reads an export with one of the tools that people use and prints its columns: read_file.py TOOL FILE.

A float64 is printed as the hexadecimal digits of its bits, a time as microseconds since 1970, null as null.
"""

import json
import struct
import sys

tool, path = sys.argv[1:]
format = path.rsplit(".", 1)[1]


def pandas():
    import pandas

    if format == "parquet":
        return pandas.read_parquet(path)
    # Without the option pandas before 3 reads some numbers one bit off; later ones read all of them right, and deprecate it.
    is_old = int(pandas.__version__.split(".")[0]) < 3
    return pandas.read_csv(path, parse_dates=["time"], **({"float_precision": "round_trip"} if is_old else {}))


def pyarrow():
    import pyarrow.csv
    import pyarrow.parquet

    if format == "parquet":
        return pyarrow.parquet.read_table(path)
    # Without the option pyarrow reads absent units as empty texts.
    return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))


def duckdb():
    import duckdb

    function = "read_parquet" if format == "parquet" else "read_csv"
    duckdb.sql("set timezone = 'UTC'")
    return duckdb.sql(f"select * from {function}('{path}')").to_arrow_table()


def polars():
    import polars

    return polars.read_parquet(path) if format == "parquet" else polars.read_csv(path, try_parse_dates=True)


def arrow(frame):
    import pyarrow

    if isinstance(frame, pyarrow.Table):
        return frame
    return frame.to_arrow() if tool == "polars" else pyarrow.Table.from_pandas(frame, preserve_index=False)


def cells(column):
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        unit = {"s": 1e6, "ms": 1e3, "us": 1, "ns": 1e-3}[column.type.unit]
        whole = column.cast(pyarrow.int64()).to_pylist()
        return "time", [None if one is None else round(one * unit) for one in whole]
    if pyarrow.types.is_floating(column.type):
        return "float64", [None if one is None else struct.pack(">d", one).hex() for one in column.to_pylist()]
    if pyarrow.types.is_integer(column.type):
        return "integer", [str(one) for one in column.to_pylist()]
    return "text", column.to_pylist()


table = arrow({"pandas": pandas, "pyarrow": pyarrow, "duckdb": duckdb, "polars": polars}[tool]())
print(json.dumps([{"name": name, **dict(zip(("type", "cells"), cells(table[name])))} for name in table.column_names]))
