"""The floor at a glance: folders, what is due, what needs a person, and how the work stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from deployments.web.pages import Visit
from models.settings import Environment
from models.tables.orders import NEEDS_ATTENTION
from tasks.desk.deadlines import due_orders
from tasks.desk.errors import DeskRefusedError
from tasks.desk.folders import list_folders
from tasks.monitoring.health import spell
from tasks.monitoring.status import read_status

_LISTED = 12


def check(visit: Visit) -> Response:
    """Start a check of all integrations."""
    if visit.site.check is None:
        raise DeskRefusedError("there is no Prefect server to run it: start desk up, or run desk check")
    visit.site.check()
    return visit.go("/", "a check was started: look again in a minute")


def show(visit: Visit) -> Response:
    """Show the floor."""
    now = datetime.now(UTC)
    engine = visit.site.engine
    status = read_status(engine, visit.site.plans, Environment().thresholds(), now=now)
    end_of_day = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    due = due_orders(engine, until=end_of_day)
    late = [order for order in due if order.due_at < now]
    today = [order for order in due if order.due_at >= now]
    return visit.page(
        "floor.html",
        status_now=status,
        folders=list_folders(engine),
        attention=NEEDS_ATTENTION,
        can_check=visit.site.check is not None,
        late=late[:_LISTED],
        late_count=len(late),
        today=today[:_LISTED],
        today_count=len(today),
        behind=lambda seconds: "" if seconds is None else spell(timedelta(seconds=seconds)),
    )
