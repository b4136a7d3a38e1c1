"""Never miss an order: whole scans against the real sandbox server, with everything wrong that it can do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
import stamina

from deployments.sandbox.faults import churn
from deployments.sandbox.generator import GeneratorOptions, generate_orders
from deployments.sandbox.server import Sandbox, SandboxSettings
from deployments.sandbox.store import Store
from models.podos import Fulfillment
from tasks.podos.client import ListQuery, PodosAccess, PodosClient
from tasks.podos.errors import RetriablePodosError, TokenRefusedError, WrongAnswerError
from tasks.podos.paging import DateField
from tasks.podos.parsing import ParsedPage, Row, Unreadable
from tasks.podos.scan import Batch, Scan, ScanPlan, newest_date

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LIST = "/v1/fulfillments"
Given = tuple[str, str]

ALL = ScanPlan("createdAt")
ALL_IN_LANES = ScanPlan("createdAt", newest=NOW)
CHANGES = ScanPlan("updatedAt", parallel=False)


@pytest.fixture(autouse=True)
def every_page_counts_as_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are split although this podOS answers at once."""
    monkeypatch.setattr("tasks.podos.scan.SLOW_PAGE_SECONDS", 0.0)


@pytest.fixture(scope="module", autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=50, cap=True):
        yield


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(orders=0, now=NOW)) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    """An empty sandbox without faults."""
    shared.faults.reset()
    for key in shared.store.keys():  # noqa: SIM118 - not a mapping
        shared.store.remove(key)
    shared.store.set_clock(lambda: NOW)
    shared.store.log.clear()
    return shared


def fill(sandbox: Sandbox, orders: int, *, seed: int = 1, broken: int = 0, days: int = 30) -> None:
    sandbox.store.extend(
        generate_orders(GeneratorOptions(now=NOW, seed=seed, orders=orders, broken=broken, days=days))
    )


def set_date(sandbox: Sandbox, key: str, moment: datetime) -> None:
    sandbox.store.update(key, createdAt=moment.isoformat(), updatedAt=moment.isoformat())


@dataclass
class Reading:
    """What a scan gave, and the errors on the way."""

    batches: list[Batch] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        found: list[Row] = []
        for batch in self.batches:
            found += batch.fulfillments
            found += batch.unreadable
        return found

    @property
    def ids(self) -> list[str | None]:
        return [row.id for row in self.rows]

    def pairs(self, by: DateField) -> list[Given]:
        return [(row.id or "", date_text(row, by)) for row in self.rows]


def date_text(row: Row, by: DateField) -> str:
    moment = row.created_at if by == "createdAt" else row.updated_at
    return moment.astimezone(UTC).isoformat() if moment else ""


def run_scan(
    sandbox: Sandbox,
    plan: ScanPlan = ALL,
    *,
    connections: int = 1,
    page_size: int = 100,
    batch: int = 1000,
    attempts: int = 6,
    give_up_after: int = 0,
    token: str | None = None,
) -> Reading:
    access = PodosAccess(sandbox.url, sandbox.project, token or sandbox.token)
    reading = Reading()

    async def read() -> None:
        async with (
            PodosClient(access, connections=connections, max_attempts=attempts) as client,
            Scan(client, plan, connections=connections, page_size=page_size, project="p") as scan,
        ):
            while True:
                try:
                    found = await scan.next_batch(batch)
                except RetriablePodosError as error:
                    reading.errors.append(error)
                    if len(reading.errors) > give_up_after:
                        raise
                    continue
                if found is None:
                    return
                reading.batches.append(found)

    asyncio.run(read())
    return reading


def stored(sandbox: Sandbox, by: DateField = "createdAt") -> set[Given]:
    return {(order["id"], order[by]) for order in sandbox.store.all()}


def assert_each_once(reading: Reading, expected: set[str]) -> None:
    assert Counter(reading.ids) == Counter(expected)


@pytest.mark.parametrize("connections", [1, 2, 8])
@pytest.mark.parametrize("page_size", [7, 100])
def test_every_order_is_given_out_once(sandbox: Sandbox, connections: int, page_size: int) -> None:
    fill(sandbox, 300)
    reading = run_scan(sandbox, ALL_IN_LANES, connections=connections, page_size=page_size)
    assert_each_once(reading, set(sandbox.store.keys()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("plan", "connections"), [(ALL, 1), (ALL_IN_LANES, 2), (ALL_IN_LANES, 8), (CHANGES, 1)]
)
def test_nothing_is_missed_while_rows_move_leave_and_appear(
    sandbox: Sandbox, seed: int, plan: ScanPlan, connections: int
) -> None:
    fill(sandbox, 250, seed=seed, days=1)
    clock = Clock(NOW)
    sandbox.store.set_clock(clock)
    before = stored(sandbox, plan.field)
    hook = sandbox.faults.before_list = churn(rate=2.0, seed=seed)
    reading = run_scan(sandbox, plan, connections=connections, page_size=9)
    assert hook.moved
    assert hook.left
    assert hook.appeared
    pairs = reading.pairs(plan.field)
    after = stored(sandbox, plan.field)
    assert before & after <= set(pairs), "an order that was there all the time was missed"
    assert max(Counter(pairs).values()) == 1
    newest = max(date for _, date in pairs)
    assert {pair for pair in after - set(pairs) if pair[1] < newest} == set()


class Clock:
    """A store's clock that goes on by a second every third time somebody looks."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._looks = 0

    def __call__(self) -> datetime:
        self._looks += 1
        return self._start + timedelta(seconds=self._looks // 3)


@pytest.mark.parametrize("seed", range(3))
def test_no_order_is_missed_though_rows_are_deleted_while_the_pages_of_a_dense_second_are_turned(
    sandbox: Sandbox, seed: int
) -> None:
    fill(sandbox, 120, seed=seed)
    for key in sandbox.store.keys()[20:90]:
        set_date(sandbox, key, NOW - timedelta(days=3))
    sandbox.store.set_clock(lambda: LATER)
    before = stored(sandbox, "updatedAt")
    sandbox.faults.before_list = churn(rate=1.0, seed=seed)
    reading = run_scan(sandbox, CHANGES, page_size=10)
    assert before & stored(sandbox, "updatedAt") <= set(reading.pairs("updatedAt"))


@pytest.mark.parametrize("connections", [1, 8])
@pytest.mark.parametrize(
    "fault",
    ["none", "small_pages", "page_size_cap", "start_exclusive", "end_exclusive", "duplicate_rows", "all"],
)
def test_a_dense_second_is_read_whole_by_any_server(sandbox: Sandbox, fault: str, connections: int) -> None:
    fill(sandbox, 500, days=2)
    for key in sandbox.store.keys()[100:450]:
        set_date(sandbox, key, NOW - timedelta(hours=12))
    for name in ("small_pages", "start_exclusive", "end_exclusive", "duplicate_rows"):
        setattr(sandbox.faults, name, fault in (name, "all"))
    sandbox.faults.page_size_cap = 40 if fault in ("page_size_cap", "all") else None
    reading = run_scan(sandbox, ALL_IN_LANES, connections=connections)
    assert_each_once(reading, set(sandbox.store.keys()))


@pytest.mark.parametrize("connections", [1, 8])
def test_broken_rows_in_the_middle_of_pages_come_as_unreadable_and_take_no_other_with_them(
    sandbox: Sandbox, connections: int
) -> None:
    fill(sandbox, 200, broken=24)
    reading = run_scan(sandbox, ALL_IN_LANES, connections=connections, page_size=20)
    readable = {row.id for row in reading.rows if isinstance(row, Fulfillment)}
    keys = [row.key for batch in reading.batches for row in batch.unreadable]
    assert len(reading.rows) == 200
    assert len(keys) == len(set(keys)) == 24
    assert sum(key.startswith("sha256:") for key in keys) == 6
    assert readable.isdisjoint(keys)


@pytest.mark.parametrize("connections", [1, 2, 8])
def test_windows_are_half_open_to_the_second(sandbox: Sandbox, connections: int) -> None:
    fill(sandbox, 300)
    edge = NOW - timedelta(days=5)
    around: dict[int, list[str]] = {}
    for number, key in enumerate(sandbox.store.keys()[:60]):
        around.setdefault(number % 5 - 2, []).append(key)
        set_date(sandbox, key, edge + timedelta(seconds=number % 5 - 2))
    before = run_scan(sandbox, ScanPlan("createdAt", until=edge), connections=connections, page_size=10)
    after = run_scan(
        sandbox, ScanPlan("createdAt", since=edge, newest=NOW), connections=connections, page_size=10
    )
    assert_each_once(before, {o["id"] for o in sandbox.store.all() if o["createdAt"] < edge.isoformat()})
    assert_each_once(after, {o["id"] for o in sandbox.store.all() if o["createdAt"] >= edge.isoformat()})
    assert {*around[-2], *around[-1]} <= set(before.ids)
    assert {*around[0], *around[1], *around[2]} <= set(after.ids)


def test_adjacent_windows_share_nothing_and_leave_nothing_out(sandbox: Sandbox) -> None:
    fill(sandbox, 400)
    cuts = [NOW - timedelta(days=days) for days in (40, 21, 14, 7, 3, 1)] + [NOW + timedelta(days=1)]
    found: list[str | None] = []
    for since, until in pairwise(cuts):
        found += run_scan(sandbox, ScanPlan("createdAt", since, until), connections=4, page_size=20).ids
    assert Counter(found) == Counter(sandbox.store.keys())


@pytest.mark.parametrize("connections", [1, 8])
@pytest.mark.parametrize("fault", ["500", "429", "cut", "broken_json", "html"])
def test_after_an_error_the_scan_goes_on_where_it_stood(
    sandbox: Sandbox, fault: str, connections: int
) -> None:
    fill(sandbox, 300)
    sandbox.faults.then(*["ok"] * 5, *[fault] * 3 * connections)
    reading = run_scan(
        sandbox, ALL_IN_LANES, connections=connections, page_size=20, batch=50, attempts=3, give_up_after=9
    )
    assert reading.errors
    assert_each_once(reading, set(sandbox.store.keys()))


class MemoryClient(PodosClient):
    """Answers from memory, and counts the failures while podOS is away."""

    def __init__(self, rows: int, undated: Sequence[Row] = ()) -> None:
        super().__init__(PodosAccess("http://127.0.0.1:9", "p", "t"))
        self._undated = list(undated)
        self._asked = 0
        self._rows = [
            Fulfillment(id=str(number), status="paid", created_at=NOW + timedelta(minutes=number))
            for number in range(rows)
        ]
        self.away = False
        self.failures = 0

    async def list_page(self, query: ListQuery) -> ParsedPage:
        self._asked += 1
        for _ in range(1 + self._asked % 7):  # answers come in another order than they were asked for
            await asyncio.sleep(0)
        if self.away:
            self.failures += 1
            raise RetriablePodosError("away")
        rows: list[Row] = self._undated + [
            row
            for row in self._rows
            if row.created_at
            and (query.start is None or row.created_at >= query.start)
            and (query.end is None or row.created_at <= query.end)
        ]
        first = (query.page - 1) * query.page_size
        following = query.page + 1 if len(rows) > first + query.page_size else None
        return ParsedPage(rows[first : first + query.page_size], following)


def test_an_outage_of_all_lanes_is_one_error_not_one_for_each() -> None:
    """A task has three retries: eight lanes must not use them up for one and the same outage."""

    async def read() -> tuple[MemoryClient, int, list[str | None]]:
        errors, ids = 0, []
        plan = ScanPlan("createdAt", newest=NOW + timedelta(minutes=1000))
        async with MemoryClient(1000) as client, Scan(client, plan, page_size=10) as scan:
            while not scan.finished:
                try:
                    found = await scan.next_batch(10)
                except RetriablePodosError:
                    errors += 1
                    for _ in range(20):  # those under way fail as well, before the task tries again
                        await asyncio.sleep(0)
                    client.away = False
                    continue
                ids += [row.id for row in found.fulfillments] if found else []
                client.away = not errors and len(ids) > 200
        return client, errors, ids

    client, errors, ids = asyncio.run(read())
    assert client.failures > 4
    assert errors == 1
    assert Counter(ids) == Counter(map(str, range(1000)))


def test_an_undated_row_that_every_lane_sees_comes_once() -> None:
    undated = [Unreadable("{}", "it has no createdAt", id_, None, None) for id_ in ("x", None)]

    async def read() -> list[str | None]:
        ids: list[str | None] = []
        plan = ScanPlan("createdAt", newest=NOW + timedelta(minutes=1000))
        async with MemoryClient(1000, undated) as client, Scan(client, plan, page_size=10) as scan:
            while found := await scan.next_batch(100):
                ids += [row.id for row in found.fulfillments]
                ids += [row.id for row in found.unreadable]
        return ids

    assert Counter(asyncio.run(read())) == Counter(["x", None, *map(str, range(1000))])


def test_a_refused_token_ends_the_scan_with_its_name(sandbox: Sandbox) -> None:
    fill(sandbox, 10)
    with pytest.raises(TokenRefusedError):
        run_scan(sandbox, token="wrong")
    assert len(sandbox.store.requests) == 1


@pytest.mark.parametrize("connections", [1, 8])
@pytest.mark.parametrize(("bug", "orders"), [("ignore_sort", 300), ("ignore_start", 300)])
def test_an_answer_in_another_order_is_never_taken_for_complete(
    sandbox: Sandbox, bug: str, orders: int, connections: int
) -> None:
    fill(sandbox, orders)
    setattr(sandbox.faults, bug, True)
    with pytest.raises(WrongAnswerError):
        run_scan(sandbox, ALL_IN_LANES, connections=connections)


@pytest.mark.parametrize("dense", [False, True])
def test_ignored_page_numbers_are_survived_or_named(sandbox: Sandbox, dense: bool) -> None:
    fill(sandbox, 300)
    if dense:
        for key in sandbox.store.keys()[:150]:
            set_date(sandbox, key, NOW - timedelta(days=9))
    sandbox.faults.ignore_page_token = True
    if dense:
        with pytest.raises(WrongAnswerError, match="same page again"):
            run_scan(sandbox)
    else:
        assert_each_once(run_scan(sandbox, page_size=30), set(sandbox.store.keys()))


@pytest.mark.parametrize("plan", [ALL, CHANGES, ScanPlan("createdAt", since=NOW, until=LATER, newest=NOW)])
def test_an_empty_project_is_one_request(sandbox: Sandbox, plan: ScanPlan) -> None:
    assert run_scan(sandbox, plan, connections=8).batches == []
    assert len(sandbox.store.requests) == 1


def test_an_ids_plan_reads_these_and_no_others(sandbox: Sandbox) -> None:
    fill(sandbox, 300)
    wanted = sandbox.store.keys()[10:260]
    reading = run_scan(sandbox, ScanPlan("createdAt", ids=(*wanted, "unknown-id")), batch=120)
    assert_each_once(reading, set(wanted))
    assert [len(batch) for batch in reading.batches] == [120, 120, 10]
    assert {batch.read_to for batch in reading.batches} == {None}


def test_a_plan_of_no_ids_reads_nothing(sandbox: Sandbox) -> None:
    fill(sandbox, 5)
    assert run_scan(sandbox, ScanPlan("createdAt", ids=())).batches == []
    assert sandbox.store.requests == []


@pytest.mark.parametrize(("connections", "slack"), [(1, 0), (8, 8 * 20)])
def test_batches_are_about_as_large_as_asked_and_numbered(
    sandbox: Sandbox, connections: int, slack: int
) -> None:
    fill(sandbox, 250)
    reading = run_scan(sandbox, ALL_IN_LANES, connections=connections, page_size=20, batch=60)
    sizes = [len(batch) for batch in reading.batches]
    assert all(60 <= size < 80 + slack for size in sizes[:-1])
    assert [batch.number for batch in reading.batches] == list(range(1, len(sizes) + 1))


def test_lanes_cost_at_most_one_request_more_for_each_split(sandbox: Sandbox) -> None:
    fill(sandbox, 600)
    run_scan(sandbox, ALL_IN_LANES, connections=1, page_size=20)
    sequential = len(sandbox.store.requests)
    sandbox.store.log.clear()
    run_scan(sandbox, ALL_IN_LANES, connections=8, page_size=20)
    requests = sandbox.store.requests
    splits = len({dict(request.query).get("end") for request in requests}) - 1  # each makes one new end
    assert splits > 4
    assert len(requests) <= sequential + splits


def test_a_scan_of_changes_is_never_split(sandbox: Sandbox) -> None:
    """A row could move from a lane that did not read it yet to one that has read past it."""
    fill(sandbox, 300)
    plan = ScanPlan("updatedAt", newest=NOW, parallel=True)
    assert_each_once(run_scan(sandbox, plan, connections=8, page_size=20), set(sandbox.store.keys()))
    assert {dict(request.query).get("end") for request in sandbox.store.requests} == {None}


@pytest.mark.parametrize("batch", [1, 15, 40])
def test_read_to_never_runs_ahead_of_what_was_given_out(sandbox: Sandbox, batch: int) -> None:
    """The mark is set to it: everything dated before must be on this side of the transaction."""
    fill(sandbox, 120)
    for key in sandbox.store.keys()[30:75]:
        set_date(sandbox, key, NOW - timedelta(days=20))
    reading = run_scan(sandbox, CHANGES, page_size=10, batch=batch)
    dates = [(order["id"], datetime.fromisoformat(order["updatedAt"])) for order in sandbox.store.all()]
    given: set[str | None] = set()
    marks = [found.read_to for found in reading.batches if found.read_to]
    for found in reading.batches:
        given |= {row.id for row in found.fulfillments}
        assert found.read_to is None or {id_ for id_, date in dates if date < found.read_to} <= given
    assert marks == sorted(marks)
    assert marks[-1] == max(date for _, date in dates)


@pytest.mark.parametrize("earlier", [0, 5])
@pytest.mark.parametrize("removed_before", range(3, 10))
def test_read_to_stays_behind_a_row_that_slipped_past_the_reader(
    sandbox: Sandbox, removed_before: int, earlier: int
) -> None:
    """Page 1 of a dense second was read, one of its rows leaves, another one slips from page 2 to page 1."""
    fill(sandbox, 120)
    for key in sandbox.store.keys()[:75]:
        set_date(sandbox, key, NOW - timedelta(days=40))
    for key in sandbox.store.keys()[75 : 75 + earlier]:
        set_date(sandbox, key, NOW - timedelta(days=50))

    asked = count(1)

    def remove_one(store: Store, number: int) -> None:
        if next(asked) == removed_before:
            store.remove(store.keys()[0])

    sandbox.faults.before_list = remove_one
    reading = run_scan(sandbox, CHANGES, page_size=10, batch=1)
    dates = [(order["id"], datetime.fromisoformat(order["updatedAt"])) for order in sandbox.store.all()]
    assert len(dates) == 119
    given: set[str | None] = set()
    for found in reading.batches:
        given |= {row.id for row in found.fulfillments}
        assert found.read_to is None or {id_ for id_, date in dates if date < found.read_to} <= given


def test_only_a_scan_of_changes_says_how_far_it_read(sandbox: Sandbox) -> None:
    fill(sandbox, 30)
    assert {batch.read_to for batch in run_scan(sandbox, ALL).batches} == {None}


@pytest.mark.parametrize("by", ["createdAt", "updatedAt"])
def test_newest_date_is_the_servers(sandbox: Sandbox, by: DateField) -> None:
    fill(sandbox, 60, broken=4)
    sandbox.store.update(sandbox.store.keys()[3], updatedAt=LATER.isoformat())
    assert ask_newest(sandbox, by) == max(datetime.fromisoformat(order[by]) for order in sandbox.store.all())


def test_newest_date_of_an_empty_project_is_none(sandbox: Sandbox) -> None:
    assert ask_newest(sandbox, "updatedAt") is None


def ask_newest(sandbox: Sandbox, by: DateField) -> datetime | None:
    async def ask() -> datetime | None:
        async with PodosClient(PodosAccess(sandbox.url, sandbox.project, sandbox.token)) as client:
            return await newest_date(client, by)

    return asyncio.run(ask())


def test_a_batch_shows_nothing_of_its_rows(sandbox: Sandbox) -> None:
    fill(sandbox, 5)
    assert repr(run_scan(sandbox).batches[0]) == "Batch 1 of 5 rows"


def test_given_up_requests_leave_nothing_behind(sandbox: Sandbox) -> None:
    fill(sandbox, 300)

    async def read_a_little() -> None:
        access = PodosAccess(sandbox.url, sandbox.project, sandbox.token)
        async with (
            PodosClient(access, connections=8) as client,
            Scan(client, ALL_IN_LANES, connections=8, page_size=10) as scan,
        ):
            assert await scan.next_batch(40)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(read_a_little())
