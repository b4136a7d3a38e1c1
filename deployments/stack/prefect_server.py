"""The Prefect server as `prefect server` runs it, and more: it refuses settings that no run could use.

Prefect's own server saves a block unseen, and its page for editing one sends the values in place of the
schema, so that nothing is refused (``prefect_patches.SEEN_NEEDED``). Here both are checked: the form shows
each field's problem, and a save that did not ask before is undone and answered with 400 and the reason.

Nor does it ask who sends a request; here only those are answered who should be (``guarded_server``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from jsonschema.exceptions import ValidationError as SchemaError
from prefect.blocks.core import Block
from prefect.cli import app
from prefect.server.api.ui import schemas
from prefect.server.database import configurations
from prefect.server.models import block_documents
from pydantic import ValidationError

from deployments.cli.exit_codes import message_of
from deployments.cli.output import say
from deployments.stack.guarded_server import guard
from deployments.stack.prefect_patches import PatchError, original, replace, version_warning
from models.alerts import AlertWebhook
from models.blocks import Integration
from models.errors import ExitCode
from models.fulfillers import KINDS
from models.settings import Environment
from tasks.prefect_api.integrations import problems_of, words_of

BUSY_TIMEOUT_SECONDS = 5
BLOCKS: tuple[type[Block], ...] = (Integration, AlertWebhook, *KINDS.values())
CHECKED: dict[str, type[Block]] = {str(block.get_block_type_slug()): block for block in BLOCKS}
_TELLING = {
    "podos-integration": {"base_url", "statuses"},
    "fulfiller-webhook": {"timeout_seconds", "connections"},
    "fulfiller-folder": {"format", "after_import_folder"},
    "fulfiller-order-desk": {"folder_name", "address"},
}
"""Fields with a default, which every form of the block sends."""


def refuse_invalid_settings() -> None:
    """Check integrations and fulfillers of this process's server, from now on."""
    create = original(block_documents, "create_block_document")
    update = original(block_documents, "update_block_document")
    validate: Callable[..., list[SchemaError]] = original(schemas, "validate")

    async def checked_create(*, session: Any, block_document: Any) -> Any:
        created = await create(session=session, block_document=block_document)
        await _check_saved(session, created.id)
        return created

    async def checked_update(*, session: Any, block_document_id: UUID, block_document: Any) -> bool:
        updated: bool = await update(
            session=session, block_document_id=block_document_id, block_document=block_document
        )
        if updated:
            await _check_saved(session, block_document_id)
        return updated

    def checked_form(values: dict[str, Any], schema: dict[str, Any], **options: Any) -> list[SchemaError]:
        if block := _block_of_form(values, schema):
            return _problems(block, values)
        return validate(values, schema, **options)

    replace(block_documents, create_block_document=checked_create, update_block_document=checked_update)
    replace(schemas, validate=checked_form)


async def _check_saved(session: Any, block_document_id: UUID) -> None:
    """Raise ValueError for settings that no run can use; the server answers with 400 and a rollback."""
    document = await block_documents.read_block_document_by_id(
        session=session, block_document_id=block_document_id, include_secrets=True
    )
    if document is None or document.block_type is None:
        return
    block = CHECKED.get(document.block_type.slug)
    if block is None:
        return
    try:
        block.model_validate(document.data)
    except ValidationError as error:
        raise ValueError(f"not saved: {problems_of(error, block)}") from None


def _block_of_form(values: Mapping[str, Any], schema: Mapping[str, Any]) -> type[Block] | None:
    """Tell by the schema, or by the fields where the page sent the values in its place."""
    if "properties" in schema:
        return CHECKED.get(str(schema.get("block_type_slug")))
    for slug, always_sent in _TELLING.items():
        own = frozenset(CHECKED[slug].model_fields) - frozenset(Block.model_fields)
        if always_sent <= set(values) <= own:
            return CHECKED[slug]
    return None


def _problems(block: type[Block], values: Mapping[str, Any]) -> list[SchemaError]:
    try:
        block.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return [SchemaError(words_of(problem), path=problem["loc"]) for problem in found]
    return []


def wait_briefly_for_the_lock() -> None:
    """Let SQLite wait seconds for its lock, not Prefect's minute.

    The server was seen to stand still while a connection waited for the lock: its main thread
    waited for that connection's mutex. What waited too long is asked again (``ask_again_when_locked``).
    """
    configuration = configurations.AioSqliteConfiguration
    set_up: Callable[..., None] = configuration.setup_sqlite

    def set_up_briefly(self: Any, connection: Any, record: Any) -> None:
        set_up(self, connection, record)
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
        cursor.close()

    type.__setattr__(configuration, "setup_sqlite", set_up_briefly)


def main() -> None:
    """Run a command of Prefect; a server that it starts is ours."""
    try:
        Environment()
    except ValidationError as error:
        say(f"Error: {message_of(error)}")
        sys.exit(ExitCode.BAD_INPUT)
    if warning := version_warning():
        say(f"Warning: {warning}")
    try:
        wait_briefly_for_the_lock()
        refuse_invalid_settings()
        guard()
    except PatchError as error:
        say(f"Error: {error}")
        sys.exit(error.exit_code)
    app()


if __name__ == "__main__":
    main()
