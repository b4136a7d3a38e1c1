"""Alerts: Prefect automations that notify a person through a block, once for each cause."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.events.actions import SendNotification
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr, ValidationError

from models.alerts import ALERTS_BLOCK, AlertWebhook
from models.errors import AppError, ExitCode
from models.settings import Environment
from models.watching import Work, cause_of
from tasks.desk.engine import opened_desk
from tasks.monitoring.health import late_after
from tasks.monitoring.plans import read_plans
from tasks.monitoring.record import resend_alerts
from tasks.prefect_api.events import (
    ALERT_TEST,
    CAUSE,
    CHECK_NOTED,
    NOT_SENT,
    ORDERS_WAIT,
    WORK_FAILED,
    emit_test_event,
)

PREFIX = "podos-order-desk: alert, "
SILENCE_NAME = f"{PREFIX}no check"
TEST_NAME = f"{PREFIX}test"
_ACTION = "prefect.automation.action."
_POLL_SECONDS = 0.5
_MAX_EVENTS = 50
"""As many as the server gives; its own client asks for more by default."""
_SHORTEST_SILENCE = timedelta(seconds=10)


class AlertsError(AppError):
    """Alerts can't be set up or sent; the text says what to do."""

    exit_code = ExitCode.BAD_INPUT


class Alert(NamedTuple):
    """An automation as it is on the server."""

    name: str
    is_on: bool
    block: str | None


def wanted_automations(block_id: UUID, silence: timedelta) -> Iterator[AutomationCore]:
    """Give the automations that notify through a block."""
    reactive = {
        "a check, sync or sending failed": (WORK_FAILED, "{{ event.payload.title }} fails"),
        "orders wait for a person": (ORDERS_WAIT, "{{ event.payload.title }}"),
        "something could not be sent": (NOT_SENT, "{{ event.payload.title }}"),
        "test": (ALERT_TEST, "test"),
    }
    for name, (event, subject) in reactive.items():
        yield AutomationCore(
            name=PREFIX + name,
            description="Once for each cause, and again only after it was well in between.",
            trigger=EventTrigger(
                expect={event},
                match=ResourceSpecification({"prefect.resource.id": [f"{CAUSE}.*"]}),
                for_each={"prefect.resource.id"},
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                SendNotification(
                    block_document_id=block_id,
                    subject=f"podOS order desk: {subject}",
                    body="{{ event.payload.reason }}",
                )
            ],
        )
    yield _silence(block_id, max(silence, _SHORTEST_SILENCE))


def _silence(block_id: UUID, within: timedelta) -> AutomationCore:
    """After a check that ended, however it did, the next one is expected: its event starts the wait anew."""
    return AutomationCore(
        name=SILENCE_NAME,
        description="No check has ended for a while: neither complete nor failed. Once, until one ends.",
        trigger=EventTrigger(
            after={CHECK_NOTED},
            expect={CHECK_NOTED},
            match=ResourceSpecification({"prefect.resource.id": [f"{CAUSE}.check.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[
            SendNotification(
                block_document_id=block_id,
                subject="podOS order desk: {{ event.payload.title }} is silent",
                body="No check has ended since {{ event.occurred }}. See: desk status",
            )
        ],
    )


async def save_webhook(address: SecretStr) -> UUID:
    """Save where alerts are posted to, over an earlier address; return the block's id.

    Raises:
        AlertsError: it is no address that can be used.
    """
    try:
        block = AlertWebhook(url=address)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise AlertsError(problem["msg"].removeprefix("Value error, ")) from None
    saved: UUID = await block.save(ALERTS_BLOCK, overwrite=True)
    return saved


async def find_block(slug: str) -> UUID:
    """Return the id of a notification block.

    Args:
        slug: its type's slug and its name, as in ``slack-webhook/ops``.

    Raises:
        AlertsError: there is none, or it can't notify.
    """
    kind, _, name = slug.partition("/")
    async with get_client() as client:
        try:
            document = await client.read_block_document_by_name(name, kind, include_secrets=False)
        except ObjectNotFound:
            raise AlertsError(
                f"there is no block {slug!r}: make it in the Prefect pages under Blocks; "
                "name it by its type's slug and its name, such as slack-webhook/ops"
            ) from None
    if document.block_schema is None or "notify" not in document.block_schema.capabilities:
        raise AlertsError(
            f"the block {slug!r} can't notify: take one such as Slack Webhook or Sendgrid Email"
        )
    return document.id


async def set_up_alerts(block_id: UUID, silence: timedelta) -> list[str]:
    """Make the automations that are missing and bring the others to this block and silence. Safe to repeat.

    What a person switched off in the pages stays off. If anything changed, open problems are
    sent again: alerts that are new, or go elsewhere, missed them.

    Returns:
        The names of those that were made or changed.
    """
    changed = await _bring_up_to_date(block_id, silence)
    if changed:
        with opened_desk(Environment().database_url()) as engine:
            await resend_alerts(engine)
    return changed


async def _bring_up_to_date(block_id: UUID, silence: timedelta) -> list[str]:
    changed = []
    async with get_client() as client:
        for wanted in wanted_automations(block_id, silence):
            there = await _named(client, wanted.name)
            if there is None:
                await client.create_automation(wanted)
            elif not _is_same(there, wanted):
                await client.update_automation(there.id, wanted.model_copy(update={"enabled": there.enabled}))
            else:
                continue
            changed.append(wanted.name)
    return changed


def _is_same(there: Automation, wanted: AutomationCore) -> bool:
    def told(automation: AutomationCore) -> tuple[object, object]:
        within = getattr(automation.trigger, "within", None)
        return within, [action.model_dump() for action in automation.actions]

    return told(there) == told(wanted)


async def complete_alerts(silence: timedelta) -> str | None:
    """Make the automations that a newer program adds, with the block of those that are there.

    Returns:
        Where alerts go, None where nobody set them up.
    """
    async with get_client() as client:
        first = await _named(client, TEST_NAME)
        if first is None:
            return None
        block_id = _block_id(first)
        if block_id is None:
            return None
        for wanted in wanted_automations(block_id, silence):
            if await _named(client, wanted.name) is None:
                await client.create_automation(wanted)
        return await _block_name(client, block_id)


async def list_alerts() -> list[Alert]:
    """Return the automations that are there, by name."""
    found = []
    async with get_client() as client:
        for automation in await client.read_automations():
            if automation.name.startswith(PREFIX):
                block_id = _block_id(automation)
                name = await _block_name(client, block_id) if block_id else None
                found.append(Alert(automation.name.removeprefix(PREFIX), automation.enabled, name))
    return sorted(found)


async def _named(client: PrefectClient, name: str) -> Automation | None:
    found = await client.read_automations_by_name(name)
    return found[0] if found else None


def _block_id(automation: AutomationCore) -> UUID | None:
    return next(
        (action.block_document_id for action in automation.actions if isinstance(action, SendNotification)),
        None,
    )


async def _block_name(client: PrefectClient, block_id: UUID) -> str | None:
    try:
        document: BlockDocument = await client.read_block_document(block_id, include_secrets=False)
    except ObjectNotFound:
        return None
    return f"{document.block_type.slug}/{document.name}" if document.block_type else document.name


async def usual_silence() -> timedelta:
    """Return for how long no check may end: as ``desk status`` judges, of the slowest schedule."""
    plans, thresholds = await read_plans(), Environment().thresholds()
    causes = [cause_of(Work.CHECK, name) for name in plans.integrations] if plans else []
    return max(
        (late_after(thresholds, plans, cause) for cause in causes), default=late_after(thresholds, None, "")
    )


async def send_test(patience_seconds: float) -> None:
    """Send a test alert and wait until the block's receiver has taken it.

    Raises:
        AlertsError: no alerts are set up, the server did not take it, or it could not be sent.
    """
    async with get_client() as client:
        automation = await _named(client, TEST_NAME)
        if automation is None or not automation.enabled:
            raise AlertsError("the test alert is not set up, or off: desk alerts setup --webhook URL")
        began = datetime.now(UTC)
        if not await emit_test_event():
            raise AlertsError("the Prefect server did not take the event: see its log")
        deadline = asyncio.get_running_loop().time() + patience_seconds
        while asyncio.get_running_loop().time() < deadline:
            if (outcome := await _outcome(client, automation.id, began)) is not None:
                break
            await asyncio.sleep(_POLL_SECONDS)
        else:
            raise AlertsError(f"nothing came of the test alert within {patience_seconds:.0f} seconds")
    if outcome:
        raise AlertsError(f"the test alert was not taken: {outcome}")


async def _outcome(client: PrefectClient, automation_id: UUID, began: datetime) -> str | None:
    """Return what came of an automation's action: empty if it was done, None if it is still under way."""
    page = await client.read_events(
        EventFilter(
            occurred=EventOccurredFilter(since=began),
            event=EventNameFilter(prefix=[_ACTION]),
            resource=EventResourceFilter(id=[f"prefect.automation.{automation_id}"]),
        ),
        limit=_MAX_EVENTS,
    )
    for event in page.events:
        if event.event == f"{_ACTION}executed":
            return ""
        if event.event == f"{_ACTION}failed":
            return str(event.payload.get("notification_log") or event.payload.get("reason"))
    return None
