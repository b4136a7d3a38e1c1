"""The import as the flow does it, with a Prefect server running. Prints its seconds as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time

from pydantic import SecretStr


async def check(options: argparse.Namespace) -> dict[str, float]:
    """Connect the integration, then run one check and return what it took."""
    import pandas  # noqa: F401 - as in the plain run, imports are not what is measured

    from flows.check_orders import check_for_new_orders
    from models.blocks import Integration
    from tasks.prefect_api.integrations import save_integration

    fields = {"project": options.project, "base_url": options.url, "connections": options.connections}
    await save_integration("bench", Integration(api_token=SecretStr(options.token), **fields))
    started, cpu = time.perf_counter(), time.process_time()
    state = await check_for_new_orders("bench", return_state=True)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    assert state.is_completed(), state.message
    return {"seconds": seconds, "cpu_seconds": cpu_seconds}


def main() -> None:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--url", "--project", "--token", "--database"):
        parser.add_argument(name, required=True)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    os.environ["DESK_DATABASE_URL"] = options.database
    print(json.dumps(asyncio.run(check(options))))


if __name__ == "__main__":
    main()
