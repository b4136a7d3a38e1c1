"""A handover queues the news for podOS in the transaction that notes it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from deployments.sandbox.receiver import Receiver
from models.production import TellProduction
from tasks.fulfilment.channels.webhook import Webhook
from tasks.production.store import list_statuses
from tests.support.sending import SECRET, queue, send

OFF, HANDOVER, ACCEPTED = TellProduction.OFF, TellProduction.HANDOVER, TellProduction.ACCEPTED


@pytest.mark.parametrize(
    ("moment", "faults", "is_queued"),
    [
        (OFF, [], False),
        (HANDOVER, [], True),
        (ACCEPTED, [], True),
        (HANDOVER, [422], True),  # it had begun: the merchant must not cancel what may be on the press
        (ACCEPTED, [422], False),
    ],
)
def test_when_the_news_is_queued(
    desk: Engine, moment: TellProduction, faults: list[int], is_queued: bool
) -> None:
    queue(desk, 1)
    with Receiver(SECRET, faults=faults) as receiver:
        send(desk, lambda: Webhook(receiver.url, SECRET), reporting={"default": moment})
    assert [row.status for row in list_statuses(desk)] == (["processing"] if is_queued else [])


def test_only_orders_of_integrations_that_tell_are_queued(desk: Engine) -> None:
    queue(desk, 2)
    with Receiver(SECRET) as receiver:
        send(desk, lambda: Webhook(receiver.url, SECRET), reporting={"another": ACCEPTED})
    assert list(list_statuses(desk)) == []
