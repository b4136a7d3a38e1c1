"""Leases: one holder at a time, free when its process died."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from tasks.desk import leases
from tasks.desk.engine import reading
from tasks.desk.leases import HeldLease, LeaseHeldError, LeaseLostError, acquire, release, renew

NOW = datetime(2026, 11, 23, 23, 59, 30, tzinfo=UTC)
FAR = "elsewhere/boot/pid:[1]|77|a"


def test_the_second_is_refused_until_the_first_lets_go(desk: Engine) -> None:
    acquire(desk, "check:default", FAR, now=NOW)
    with pytest.raises(LeaseHeldError, match="2026-11-23 23:59:30 UTC"):
        acquire(desk, "check:default", "other", now=NOW)
    acquire(desk, "check:other", "other", now=NOW)

    release(desk, "check:default", "other")
    with pytest.raises(LeaseHeldError):
        acquire(desk, "check:default", "other", now=NOW)
    release(desk, "check:default", FAR)

    acquire(desk, "check:default", "other", now=NOW)


def test_it_is_free_a_minute_after_the_last_renewal_across_midnight(desk: Engine) -> None:
    acquire(desk, "check:default", FAR, now=NOW)
    assert renew(desk, "check:default", FAR, now=NOW + timedelta(seconds=50))

    with pytest.raises(LeaseHeldError):
        acquire(desk, "check:default", "other", now=NOW + timedelta(seconds=109))
    acquire(desk, "check:default", "other", now=NOW + timedelta(seconds=110))

    assert not renew(desk, "check:default", FAR, now=NOW + timedelta(seconds=111))


def test_a_dead_process_of_this_machine_frees_it_at_once(desk: Engine) -> None:
    place = leases._place()
    if not place:
        pytest.skip("this system does not tell its processes apart (/proc is missing)")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    acquire(desk, "check:default", f"{place}|{ended.pid}|x", now=NOW)

    acquire(desk, "check:default", "other", now=NOW)


def test_a_dead_process_that_nobody_has_buried_frees_it_too(desk: Engine) -> None:
    """Where the first process of a container does not wait for orphans, the dead stay in the list."""
    place = leases._place()
    if not place:
        pytest.skip("this system does not tell its processes apart (/proc is missing)")
    unburied = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, unburied.pid, os.WEXITED | os.WNOWAIT)
    acquire(desk, "check:default", f"{place}|{unburied.pid}|x", now=NOW)

    acquire(desk, "check:default", "other", now=NOW)
    unburied.wait()


def test_only_one_of_many_gets_it(desk: Engine) -> None:
    start = threading.Barrier(6)
    won: list[int] = []

    def grab(number: int) -> None:
        start.wait()
        try:
            acquire(desk, "check:default", f"elsewhere|{number}|x", now=NOW)
        except LeaseHeldError:
            return
        won.append(number)

    threads = [threading.Thread(target=grab, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_living_run_renews_and_lets_go_at_its_end(desk: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_SECONDS", 0.01)
    renewed = threading.Event()

    def watched(*args: object, **kwargs: object) -> bool:
        done = renew(*args, **kwargs)  # type: ignore[arg-type]
        renewed.set()
        return done

    monkeypatch.setattr(leases, "renew", watched)
    with HeldLease(desk, "check:default") as lease:
        with reading(desk) as connection:
            ours = connection.connection.dbapi_connection
            assert renewed.wait(30)
            lease.check()
        if desk.dialect.name == "sqlite":
            with reading(desk) as connection:  # its renewals take no turns with us, each with a cache to fill
                assert connection.connection.dbapi_connection is ours
    with desk.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar() == 0


def test_a_run_that_was_taken_over_finds_out(desk: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_SECONDS", 0.01)
    lost = threading.Event()

    def taken(*_args: object, **_kwargs: object) -> bool:
        lost.set()
        return False

    with HeldLease(desk, "check:default") as lease:
        monkeypatch.setattr(leases, "renew", taken)
        assert lost.wait(30)
        lease._stop.set()
        lease._thread.join()
        with pytest.raises(LeaseLostError, match="another one took over"):
            lease.check()
