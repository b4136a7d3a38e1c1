"""Take the files that shipping programs dropped into a folder."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from models.settings import Environment
from tasks.desk.engine import opened_desk
from tasks.desk.errors import DeskError
from tasks.prefect_api.events import emit_shipments_added
from tasks.prefect_api.foreign_errors import in_own_words
from tasks.prefect_api.schedules import NOTHING_TO_DO, drop_idle_runs, drop_late_runs
from tasks.rules.apply import look_at_what_happened
from tasks.tracking.drop_folder import DropFolderError, take_folder

logger = logging.getLogger(__name__)


@flow(name="watch-shipments")
@in_own_words
async def watch_shipments(directory: str = "", strict: bool = False) -> State[None]:
    """Take the finished files of the drop folder; each is moved to done/ or failed/.

    Args:
        directory: The drop folder. Empty: the one that DESK_DROP_FOLDER names on the worker's machine.
        strict: Take all rows of a file or none.
    """
    await drop_late_runs()
    await drop_idle_runs()
    environment = Environment()
    folder = directory or environment.desk_drop_folder
    if not folder:
        return Completed(
            name=NOTHING_TO_DO, message="no drop folder is set: give its directory, or set DESK_DROP_FOLDER"
        )
    try:
        with opened_desk(environment.database_url()) as engine:
            reading = environment.shipment_reading()
            results = take_folder(engine, Path(folder), strict=strict, now=datetime.now(UTC), reading=reading)
            for result in results:
                logger.info("%s", result.told())
            await emit_shipments_added(set().union(*(result.taken.integrations for result in results)))
            (await look_at_what_happened(engine)).raise_problem()
    except (DeskError, DropFolderError) as error:
        return Failed(message=str(error))
    added = sum(result.taken.added for result in results)
    bad = sum(len(result.taken.bad) for result in results)
    message = f"{len(results)} files: {added} shipments added, {bad} bad rows"
    return Completed(name=None if results else NOTHING_TO_DO, message=message)
