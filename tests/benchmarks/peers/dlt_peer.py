# mypy: ignore-errors
"""dlt: its rest_api source, merge into the same two tables. Runs in an environment of its own."""

import argparse
import json
import os
import tempfile
import time


def main() -> None:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser()
    for name in ("--url", "--project", "--token", "--database"):
        parser.add_argument(name, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--state", default="")
    options = parser.parse_args()
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR")
    if options.database.startswith("sqlite"):
        os.environ["LOAD__WORKERS"] = "1"  # SQLite has one writer; several ended in an error of its
    import dlt
    from dlt.sources.rest_api import rest_api_source

    endpoint = {
        "path": "v1/fulfillments",
        "params": {"project": options.project, "pageSize": 100, "sortBy[]": "createdAt"},
        "data_selector": "fulfillments",
        "paginator": {"type": "cursor", "cursor_path": "nextPageToken", "cursor_param": "pageToken"},
    }
    if options.state:
        endpoint["params"] |= {"sortBy[]": "updatedAt", "dateFilterType": "updatedAt"}
        endpoint["incremental"] = {"start_param": "start", "cursor_path": "updatedAt", "initial_value": None}
        endpoint["incremental"]["initial_value"] = "2026-01-01T00:00:00+00:00"
    source = rest_api_source(
        {
            "client": {"base_url": options.url, "headers": {"Authorization": options.token}},
            "resources": [
                {
                    "name": "fulfillments",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "max_table_nesting": 1,
                    "endpoint": endpoint,
                }
            ],
        }
    )
    # Lists that are no table of their own stay JSON: two tables, orders and items, as everybody has.
    columns = ("packingNotes", "additionalFiles", "frozenReasons", "statusHistory")
    source.resources["fulfillments"].apply_hints(columns={name: {"data_type": "json"} for name in columns})
    if options.database.startswith("sqlite"):
        destination = dlt.destinations.sqlalchemy(options.database)
    else:
        destination = dlt.destinations.postgres(options.database.replace("+psycopg", ""))
    with tempfile.TemporaryDirectory() as place:
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=options.state or place, destination=destination, dataset_name="main"
        )
        started, cpu = time.perf_counter(), time.process_time()
        pipeline.run(source)
        took = time.perf_counter() - started
        print(json.dumps({"seconds": took, "cpu_seconds": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
