"""A fulfiller's settings reach the channel that they are for."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from deployments.sandbox.receiver import Receiver
from models.fulfillers import WebhookFulfiller
from tasks.fulfilment.channels.interface import Channel
from tasks.fulfilment.fulfillers import open_channel
from tests.support.sending import SECRET, queue, send, states


@pytest.mark.parametrize(("fields", "state"), [(None, "failed"), ("accepted", "sent"), ("", "sent")])
def test_the_fields_that_say_no_are_those_of_the_setting(
    desk: Engine, fields: str | None, state: str
) -> None:
    queue(desk, 1)
    with Receiver(SECRET, faults=["says no"]) as receiver:
        given = {} if fields is None else {"refusal_fields": fields}
        fulfiller = WebhookFulfiller(address=receiver.url, secret=SecretStr(SECRET), **given)

        def channel() -> Channel:
            return open_channel(desk, "acme", fulfiller)

        send(desk, channel)
    assert [row[0] for row in states(desk)] == [state]
