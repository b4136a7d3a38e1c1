"""Is it well? Late, failed, died, over a threshold: by what was found and the moment alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.watching import (
    Backlog,
    BacklogKind,
    CheckDone,
    Planned,
    Plans,
    Snapshot,
    Thresholds,
    Watch,
    Work,
    cause_of,
    title_of,
    work_of,
)
from tasks.monitoring.health import deaths, find_problems, short, spell, too_high
from tasks.monitoring.plans import planned_work

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CHECK = cause_of(Work.CHECK, "default")
SYNC = cause_of(Work.SYNC, "default")


def look(
    *watches: Watch,
    checked: timedelta | None = MINUTE,
    died: dict[str, datetime] | None = None,
    **backlog: int,
) -> Snapshot:
    done = {} if checked is None else {"default": CheckDone(NOW - checked, NOW - checked, None)}
    return Snapshot({watch.cause: watch for watch in watches}, done, died or {}, Backlog(**backlog))


def well(cause: str, ago: timedelta = MINUTE) -> Watch:
    return Watch(cause, NOW - ago, None, None, None)


def plans(**work: Planned) -> Plans:
    return Plans(
        frozenset({"default"}), frozenset(), {f"{name}:default": text for name, text in work.items()}
    )


def test_where_nothing_was_ever_imported_and_nobody_knows_who_is_connected_all_is_not_well() -> None:
    (problem,) = find_problems(look(checked=None), None, Thresholds(), NOW)
    assert problem.text.startswith("no check has ever been complete")
    assert causes(look(checked=None), Plans(frozenset(), frozenset(), {})) == []


def causes(found: Snapshot, known: Plans | None = None, **thresholds: Any) -> list[str]:
    return [problem.cause for problem in find_problems(found, known, Thresholds(**thresholds), NOW)]


@pytest.mark.parametrize(
    ("checked", "known", "thresholds", "is_late"),
    [
        (44 * MINUTE, None, {}, False),
        (46 * MINUTE, None, {}, True),  # three usual intervals
        (46 * MINUTE, plans(check=Planned(NOW, 60 * MINUTE)), {}, False),
        (181 * MINUTE, plans(check=Planned(NOW, 60 * MINUTE)), {}, True),
        (2 * MINUTE, plans(check=Planned(NOW, 60 * MINUTE)), {"late_after": MINUTE}, True),
        (46 * MINUTE, plans(), {}, True),  # the schedule is off: nothing comes in
        (None, plans(), {}, True),  # connected, and never checked
    ],
)
def test_a_check_is_late(
    checked: timedelta | None, known: Plans | None, thresholds: dict[str, timedelta], is_late: bool
) -> None:
    assert causes(look(checked=checked), known, **thresholds) == ([CHECK] if is_late else [])


@pytest.mark.parametrize(
    ("ago", "known", "is_late"),
    [
        (16 * MINUTE, plans(sync=Planned(NOW, 5 * MINUTE)), True),
        (14 * MINUTE, plans(sync=Planned(NOW, 5 * MINUTE)), False),
        (600 * MINUTE, plans(), False),  # a person switched its schedule off
        (600 * MINUTE, None, False),  # nobody knows whether it is on
    ],
)
def test_a_sync_is_late_only_where_it_is_planned(ago: timedelta, known: Plans | None, is_late: bool) -> None:
    assert causes(look(well(SYNC, ago)), known) == ([SYNC] if is_late else [])


def test_failed_work_says_since_when_and_why() -> None:
    failed = Watch(CHECK, NOW - 60 * MINUTE, NOW - 50 * MINUTE, None, "podOS refused the token")
    (trouble,) = find_problems(look(failed), None, Thresholds(), NOW)
    assert trouble.since == NOW - 50 * MINUTE
    assert trouble.text == "the check of default fails: podOS refused the token"


def test_work_that_was_removed_is_no_trouble_where_prefect_says_so() -> None:
    gone = Watch(cause_of(Work.CHECK, "gone"), None, NOW - 60 * MINUTE, None, "unknown")
    assert causes(look(gone), None) == ["check:gone"]
    assert causes(look(gone), plans()) == []


def test_a_death_counts_until_the_work_was_well_again() -> None:
    began = NOW - 30 * MINUTE
    assert set(deaths(look(well(CHECK, 60 * MINUTE), died={CHECK: began}))) == {CHECK}
    assert set(deaths(look(well(CHECK, 10 * MINUTE), died={CHECK: began}))) == set()
    never = Watch(CHECK, None, None, None, None)
    assert causes(look(never, died={CHECK: began})) == [CHECK]


@pytest.mark.parametrize("pile", BacklogKind)
def test_a_pile_is_too_high_only_above_its_threshold(pile: BacklogKind) -> None:
    thresholds = Thresholds(attention_over=3, failed_over=3)
    field = pile.value.replace("-", "_")
    assert too_high(Backlog(**{field: 3}), thresholds) == {}
    (words,) = too_high(Backlog(**{field: 4}), thresholds).values()
    assert ": 4 (over 3); see: desk " in words
    high = Snapshot({}, {}, {}, Backlog(**{field: 4}))
    nobody = Plans(frozenset(), frozenset(), {})
    assert causes(high, nobody, attention_over=3, failed_over=3) == [pile.value]


@pytest.mark.parametrize(
    ("cause", "title"),
    [
        ("check:default", "The check of default"),
        ("sync:acme", "The sync of acme"),
        ("send:printer", "Sending to printer"),
        *((pile.value, None) for pile in BacklogKind),
    ],
)
def test_a_cause_has_a_title_for_people(cause: str, title: str | None) -> None:
    found = title_of(cause)
    assert found == (title or found)
    assert cause not in found


def test_a_cause_names_its_work() -> None:
    assert work_of(cause_of(Work.SEND, "printer-1")) == (Work.SEND, "printer-1")
    assert work_of(BacklogKind.REJECTED.value) is None


def test_the_plan_of_an_integration_is_its_own_and_everybodys() -> None:
    runs = [("", NOW), ("other", NOW + MINUTE), ("", NOW + 15 * MINUTE), ("", NOW + 75 * MINUTE)]
    found = planned_work(Work.CHECK, frozenset({"default", "other"}), runs)
    assert found[CHECK] == Planned(NOW, 60 * MINUTE)  # the longest pause: nights count
    assert found["check:other"].next_at == NOW
    assert planned_work(Work.CHECK, frozenset({"default"}), []) == {}
    assert planned_work(Work.CHECK, frozenset({"default"}), runs[:1])[CHECK].interval is None


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(days=1, minutes=5), "1 d"),
        (timedelta(days=2, hours=3, minutes=4), "2 d 3 h"),
    ],
)
def test_a_span_is_spelled(span: timedelta, words: str) -> None:
    assert spell(span) == words


def test_a_reason_is_one_short_line() -> None:
    assert short("a\n  b") == "a b"
    assert len(short("x" * 1000)) == 300
