"""Prints what three tools find in the metadata of an exported Parquet file: read_metadata.py FILE."""

import json
import sys

import duckdb
import pandas
import pyarrow.parquet

(path,) = sys.argv[1:]
file = pyarrow.parquet.ParquetFile(path)
columns = duckdb.sql(f"select path_in_schema, key_value_metadata from parquet_metadata('{path}')").fetchall()
print(
    json.dumps(
        {
            "pyarrow": json.loads(file.schema_arrow.metadata[b"metrology"]),
            "pandas": pandas.read_parquet(path).attrs,
            "duckdb": {
                name: {bytes(key).decode(): bytes(value).decode() for key, value in found.items()}
                for name, found in columns
                if found
            },
            "types": {field.name: str(field.type) for field in file.schema_arrow},
            "created_by": file.metadata.created_by,
        }
    )
)
