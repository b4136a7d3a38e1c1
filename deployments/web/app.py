"""The application: its routes, behind its guards."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from deployments.stack.asgi import Application, Receive, Scope, Send, is_at_or_below
from deployments.web import floor, history, order, orders, scan, sheets, shipments
from deployments.web.api.app import create_api
from deployments.web.guards import BodyLimit, HostCheck, NoCrossSiteWrites, PasswordCheck, SafeHeaders
from deployments.web.pages import HERE, Handler, handled, not_there
from deployments.web.site import Site

API = "/api"
READS: dict[str, Handler] = {
    "/": floor.show,
    "/orders": orders.show,
    "/orders/export.csv": orders.export,
    "/orders/{order_id:int}": order.show,
    "/rejected": history.rejected,
    "/runs": history.runs,
    "/scan": scan.show,
    "/sheets": sheets.show,
    "/shipments": shipments.show,
}
WRITES: dict[str, Handler] = {
    "/check": floor.check,
    "/orders/move": orders.move,
    "/orders/hold": orders.hold,
    "/orders/release": orders.release,
    "/orders/send": orders.send,
    "/orders/printed": orders.printed,
    "/orders/{order_id:int}/edit": order.edit,
    "/orders/{order_id:int}/undo": order.undo,
    "/orders/{order_id:int}/ship": order.ship,
    "/orders/{order_id:int}/printed": order.printed,
    "/orders/{order_id:int}/take": order.take,
    "/orders/{order_id:int}/keep": order.keep,
    "/scan": scan.take,
    "/scan/undo": scan.undo,
    "/shipments/resend": shipments.resend,
    "/shipments/void": shipments.void,
    "/handovers/resend": shipments.resend_handover,
    "/handovers/cancel": shipments.cancel_handover,
}


def create_app(
    site: Site, *, hosts: frozenset[str] = frozenset(), password: str | None = None
) -> Application:
    """Return the pages and the HTTP API, each behind its guards.

    Args:
        site: the desk.
        hosts: names of this machine besides its own (DESK_ALLOWED_HOSTS).
        password: ``name:password`` that everybody is asked for; None: nobody is.
    """
    routes = [
        *(Route(path, handled(handler), methods=["GET"]) for path, handler in READS.items()),
        *(Route(path, handled(handler), methods=["POST"]) for path, handler in WRITES.items()),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    pages = Starlette(routes=routes, exception_handlers={HTTPException: not_there})
    pages.state.site = site
    guarded = BodyLimit(PasswordCheck(NoCrossSiteWrites(pages), password))
    return SafeHeaders(HostCheck(_beside(create_api(site), guarded), hosts))


def _beside(api: Application, pages: Application) -> Application:
    """Return both as one; the API asks for a token always, and for no other password."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and is_at_or_below(scope["path"], API)
        await (api if is_api else pages)(scope, receive, send)

    return application
