"""Checks and manual imports against the sandbox: nothing missed, nothing twice, whatever happens between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from sqlalchemy import Engine, text

from deployments.sandbox.churn import churn
from deployments.sandbox.server import Sandbox, SandboxSettings
from models.reports import SKIPPED, ImportReport, Outcome
from tasks.desk.browse import export_orders
from tasks.desk.leases import HeldLease, LeaseHeldError
from tasks.desk.run_history import list_runs
from tasks.podos.errors import RetriablePodosError, TokenRefusedError, WrongAnswerError
from tasks.prefect_api.integrations import IntegrationError, UnknownOrdersError
from tests.support.connected import Connected


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries follow at once."""
    import stamina

    from tasks.imports.extract import extract_orders
    from tasks.imports.load import load_orders

    monkeypatch.setattr(extract_orders, "retry_delay_seconds", 0)
    monkeypatch.setattr(load_orders, "retry_delay_seconds", 0)
    with stamina.set_testing(True, attempts=6):
        yield


def desk_of(engine: Engine) -> dict[str, Any]:
    """All that the desk says of its orders, but for when and by which run they came."""
    return {
        order["source_id"]: {key: value for key, value in order.items() if key not in {"id", "imported_at"}}
        for order in export_orders(engine)
    }


def wanted(sandbox: Sandbox, status: str = "paid") -> set[str]:
    """The orders that an import with default filters must bring."""
    return {
        order["id"]
        for order in sandbox.store.all()
        if order.get("status") == status and not order.get("frozen") and isinstance(order.get("items"), list)
    }


def mark_of(engine: Engine) -> str:
    """The mark of the only integration."""
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT mark_at FROM scan_marks")).scalar_one())


def rest_is_explained(report: ImportReport) -> bool:
    """Every order that was fetched counts under exactly one heading."""
    published = report.as_dict()
    named = published["imported"] + published["already_imported"] + published["rejected"]
    return bool(published["fetched"] == named + sum(published["skipped"].values()))


def test_check_brings_every_paid_order_and_explains_the_rest(connected: Connected, engine: Engine) -> None:
    report = connected.check()

    assert set(desk_of(engine)) == wanted(connected.sandbox)
    assert report.fetched == 400
    assert report.counts[Outcome.REJECTED] == 1
    assert report.counts[Outcome.STATUS] > 0
    assert report.counts[Outcome.FROZEN] > 0
    assert rest_is_explained(report)


def test_importing_twice_changes_nothing(connected: Connected, engine: Engine) -> None:
    connected.check()
    before = list(export_orders(engine))

    again = connected.check()
    manual = connected.manual_import("2020-01-01")

    assert list(export_orders(engine)) == before
    assert again.counts[Outcome.IMPORTED] == manual.counts[Outcome.IMPORTED] == 0
    assert manual.counts[Outcome.ALREADY_IMPORTED] == len(before)


def test_import_leaves_what_a_person_changed(connected: Connected, engine: Engine) -> None:
    from tasks.desk.folders import move_orders

    connected.check()
    order = next(export_orders(engine, folder="New"))
    move_orders(engine, [str(order["id"])], "Closed")

    connected.manual_import("2020-01-01")

    folders = {order["id"]: order["folder"] for order in export_orders(engine)}
    assert folders[order["id"]] == "Closed"


def test_an_order_paid_days_after_its_creation_is_imported_by_the_next_check(
    connected: Connected, engine: Engine
) -> None:
    connected.check()
    late = next(order["id"] for order in connected.sandbox.store.all() if order.get("status") == "new")

    connected.sandbox.store.update(late, status="paid", frozen=False)
    report = connected.check()

    assert late in desk_of(engine)
    assert report.counts[Outcome.IMPORTED] == 1


def test_a_late_check_has_nothing_to_do_once_one_that_began_after_it_was_due_is_complete(
    connected: Connected, engine: Engine
) -> None:
    """Also when the other was still at work as this one began: it is asked under the lease."""
    from flows.import_orders import check
    from tasks.desk.runs import CoveredError, refuse_if_covered
    from tasks.prefect_api.integrations import load_integration

    async def late_check(due: datetime) -> ImportReport:
        return await check("default", await load_integration("default"), due=due)

    due = datetime.now(UTC)
    with HeldLease(engine, "check:default"), pytest.raises(LeaseHeldError):
        asyncio.run(late_check(due))
    connected.check()

    with pytest.raises(CoveredError, match="nothing to do"):
        asyncio.run(late_check(due))
    assert len(list_runs(engine, limit=10)) == 1
    refuse_if_covered(engine, "default", None)
    refuse_if_covered(engine, "default", datetime.now(UTC))
    refuse_if_covered(engine, "other", due)


def test_a_thawed_order_is_imported_by_the_next_check(connected: Connected, engine: Engine) -> None:
    store = connected.sandbox.store
    held = next(order["id"] for order in store.all() if order.get("frozen") and order.get("status") == "paid")
    connected.check()
    assert held not in desk_of(engine)

    store.update(held, frozen=False)
    connected.check()

    assert held in desk_of(engine)


def test_check_with_nothing_new_asks_once(connected: Connected) -> None:
    connected.check()
    connected.sandbox.store.log.clear()

    report = connected.check()

    assert len(connected.sandbox.store.requests) == 1
    assert report.counts[Outcome.IMPORTED] == 0


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"statuses": ["printed"]}, {"statuses": ["printed", "paid"]}),
        ({"country_filter": {"mode": "Standard", "countries": ["IE"]}}, {}),
        ({"country_filter": {"mode": "Inverted", "countries": ["GB"]}}, {}),
        ({"first_import_date": (datetime.now(UTC) - timedelta(days=7)).date()}, {}),
    ],
)
def test_changing_a_filter_brings_the_older_orders_that_now_match(
    connected: Connected, engine: Engine, narrow: dict[str, Any], wide: dict[str, Any]
) -> None:
    connected.set(**narrow)
    connected.check()
    before = set(desk_of(engine))
    assert not before >= wanted(connected.sandbox)

    connected.set(**wide)
    report = connected.check()

    assert report.counts[Outcome.IMPORTED] > 0
    assert set(desk_of(engine)) == before | wanted(connected.sandbox)


def test_a_check_stays_behind_the_first_import_date_and_a_person_may_go_before_it(
    connected: Connected, engine: Engine
) -> None:
    first = (datetime.now(UTC) - timedelta(days=5)).date()
    connected.set(first_import_date=first)

    connected.check()
    assert all(order["created_at"] >= first.isoformat() for order in desk_of(engine).values())
    connected.manual_import("2020-01-01")

    assert set(desk_of(engine)) == wanted(connected.sandbox)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_moving_leaving_and_appearing_hide_nothing(
    connected: Connected, engine: Engine, seed: int
) -> None:
    store = connected.sandbox.store
    there_all_the_time = wanted(connected.sandbox)
    changes = churn(2.0, seed=seed)
    connected.sandbox.faults.before_list = changes

    connected.check()
    store.update(sorted(there_all_the_time)[0])
    connected.check()
    connected.sandbox.faults.before_list = None
    connected.check()

    assert changes.moved
    assert changes.appeared
    missed = wanted(connected.sandbox) - set(desk_of(engine))
    assert not missed


def test_dry_run_writes_nothing_and_says_what_would_happen(connected: Connected, engine: Engine) -> None:
    dry = connected.manual_import("2020-01-01", dry_run=True)
    with engine.connect() as connection:
        tables = ["orders", "order_items", "import_runs", "rejected_orders", "scan_marks", "leases"]
        counts = {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in tables}
    assert set(counts.values()) == {0}

    real = connected.manual_import("2020-01-01")

    assert dry.run_id is None
    assert dry.counts == real.counts
    assert dry.needs_attention == real.needs_attention


def test_manual_import_reads_whole_days_of_the_integrations_zone(
    connected: Connected, engine: Engine
) -> None:
    connected.set(time_zone="America/New_York", statuses=["paid"])
    day = (datetime.now(UTC) - timedelta(days=3)).date()

    report = connected.manual_import(day.isoformat(), until=day.isoformat())

    window = report.as_dict()["window"]
    zone = ZoneInfo("America/New_York")
    begin, end = (datetime.fromisoformat(window[side]) for side in ("since", "until"))
    assert begin == datetime.combine(day, time.min, zone)
    assert end == datetime.combine(day + timedelta(days=1), time.min, zone)
    expected = {
        order["id"]
        for order in connected.sandbox.store.all()
        if order.get("id") in wanted(connected.sandbox)
        and begin <= datetime.fromisoformat(order["createdAt"]) < end
    }
    assert set(desk_of(engine)) == expected


def test_single_orders_are_imported_by_id_and_unknown_ones_are_named(
    connected: Connected, engine: Engine
) -> None:
    first, second = sorted(wanted(connected.sandbox))[:2]

    assert connected.import_single(first, second, first).counts[Outcome.IMPORTED] == 2
    with pytest.raises(UnknownOrdersError, match="1 of these 2"):
        connected.import_single(first, "no-such-order")

    assert set(desk_of(engine)) == {first, second}


def test_a_broken_order_is_rejected_and_replayed_when_podos_mended_it(
    connected: Connected, engine: Engine
) -> None:
    connected.check()
    store = connected.sandbox.store
    broken = next(order for order in store.all() if not isinstance(order.get("items"), list))

    assert connected.replay().counts[Outcome.REJECTED] == 1
    store.update(broken["id"], items=[], status="paid", frozen=False)
    report = connected.replay()

    assert report.counts[Outcome.IMPORTED] == 1
    assert broken["id"] in desk_of(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM rejected_orders")).scalar() == 0


def test_a_failing_page_is_asked_again_and_nothing_is_lost(connected: Connected, engine: Engine) -> None:
    faults = connected.sandbox.faults
    faults.then("500", "ok", "429_retry_after", "broken_json", "cut", "ok", "html", "503")

    connected.check()

    assert set(desk_of(engine)) == wanted(connected.sandbox)


def test_a_batch_that_stays_broken_fails_the_run_keeps_the_loaded_and_the_mark(
    connected: Connected, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.imports.extract.BATCH_SIZES", (100,))
    connected.check()
    mark = mark_of(engine)
    for order in connected.sandbox.store.all():
        if order.get("status") != "paid" and isinstance(order.get("items"), list):
            connected.sandbox.store.update(order["id"], status="paid", frozen=False)
    before = set(desk_of(engine))
    connected.sandbox.faults.then("ok")
    connected.sandbox.faults.then(*["500"] * 30)

    with pytest.raises(RetriablePodosError):
        connected.check()
    after, last = mark_of(engine), list_runs(engine, limit=1)[0]
    kept = set(desk_of(engine))
    connected.sandbox.faults.reset()
    connected.check()

    assert before < kept < wanted(connected.sandbox)
    assert (last.state, "HTTP 500" in str(last.error)) == ("failed", True)
    assert mark <= after
    assert set(desk_of(engine)) == wanted(connected.sandbox)


def test_the_mark_does_not_move_when_the_first_check_breaks_off(connected: Connected, engine: Engine) -> None:
    connected.sandbox.faults.then("ok", "ok", "ok")
    connected.sandbox.faults.then(*["500"] * 60)

    with pytest.raises(RetriablePodosError):
        connected.check()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM scan_marks")).scalar() == 0
    connected.sandbox.faults.reset()
    connected.check()

    assert set(desk_of(engine)) == wanted(connected.sandbox)


def test_a_refused_token_ends_the_run_at_once(connected: Connected, engine: Engine) -> None:
    connected.check()
    connected.sandbox.faults.then(*["401"] * 5)
    connected.sandbox.store.log.clear()

    with pytest.raises(TokenRefusedError):
        connected.check()

    assert len(connected.sandbox.store.requests) == 1


def test_a_server_that_does_not_sort_fails_the_run(connected: Connected, engine: Engine) -> None:
    connected.sandbox.faults.ignore_sort = True

    with pytest.raises(WrongAnswerError, match="did not sort"):
        connected.check()


def test_a_newcomer_ends_at_once_and_says_why(connected: Connected, engine: Engine) -> None:
    with HeldLease(engine, "check:default"), pytest.raises(LeaseHeldError, match="another run is at work"):
        connected.check()

    assert connected.check().counts[Outcome.IMPORTED] > 0


def test_one_integration_that_fails_does_not_stop_the_others(
    connected: Connected, engine: Engine, sandbox: Sandbox
) -> None:
    from flows.check_orders import check_for_new_orders
    from flows.runs import Observer, observer

    with Sandbox(SandboxSettings(orders=5, seed=9, project="other-1")) as other:
        Connected("another", other)
        other.faults.then(*["401"] * 9)
        observing = Observer()

        async def run() -> Any:
            observer.set(observing)
            return await check_for_new_orders(return_state=True)

        state = asyncio.run(run())
    assert state.is_failed()
    assert "another: podOS refused the token" in str(state.message)
    assert observing.reports["default"].counts[Outcome.IMPORTED] == len(wanted(sandbox))


def test_an_unknown_integration_is_named_with_those_that_exist(connected: Connected) -> None:
    stranger = Connected.__new__(Connected)
    stranger.name = "stranger"

    with pytest.raises(IntegrationError, match=r"no integration 'stranger'; connected are: .*default"):
        stranger.check()


def test_needs_attention_goes_to_its_folder_with_the_reason_in_the_history(
    connected: Connected, engine: Engine
) -> None:
    from tasks.desk.browse import find_order

    report = connected.check()
    orders = list(export_orders(engine, folder="Needs Attention"))

    assert len(orders) == report.needs_attention > 0
    history = find_order(engine, str(orders[0]["id"])).as_dict()["history"]
    assert any("no design address: item" in str(entry) for entry in history)


async def last_run(client: PrefectClient) -> FlowRun:
    """Return the flow run that began last; those that are only planned did not."""
    began = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    (run,) = await client.read_flow_runs(flow_run_filter=began, limit=1, sort=FlowRunSort.START_TIME_DESC)
    return run


def test_the_run_in_the_ui_tells_all_and_gives_nothing_personal_away(connected: Connected) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilterId

    report = connected.check()

    async def what_the_ui_shows() -> tuple[Any, list[Any], list[Any]]:
        async with get_client() as client:
            run = await last_run(client)
            this_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            tasks = await client.read_task_runs(flow_run_filter=this_run)
            artifacts = await client.read_artifacts(
                artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
            )
            return run, tasks, artifacts

    run, tasks, artifacts = asyncio.run(what_the_ui_shows())
    assert run.name.startswith(f"check default {datetime.now(UTC):%Y-%m-%d}")
    assert run.state.message == report.one_line()
    assert {"extract 1", "transform 1", "load 1"} <= {task.name for task in tasks}
    (artifact,) = artifacts
    assert "| Fetched | 400 |" in artifact.data
    assert "no design address" in artifact.data
    shown = json.dumps([run.model_dump(mode="json"), artifact.model_dump(mode="json")])
    for order in connected.sandbox.store.all():
        address = order.get("shippingAddress")
        if isinstance(address, dict) and address.get("contactName"):
            assert address["contactName"].strip() not in shown
    assert connected.sandbox.token not in shown


def test_every_reason_is_part_of_the_published_report(connected: Connected) -> None:
    published = connected.check().as_dict()

    assert set(published["skipped"]) == {reason.value for reason in SKIPPED}


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_says_so_in_its_name(connected: Connected, dry_run: bool) -> None:
    from prefect.client.orchestration import get_client

    async def name_of_the_last() -> str:
        async with get_client() as client:
            return (await last_run(client)).name

    connected.manual_import("2020-01-01", dry_run=dry_run)
    what = "dry run: import" if dry_run else "import"
    assert asyncio.run(name_of_the_last()).startswith(f"{what} default from 2020-01-01 at ")
