"""Plan what to do about changes of orders in podOS. Pure: no SQL, no clock.

What podOS said is known by its digests, not by the order's columns: those may have been edited here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from operator import attrgetter

import msgspec

from models.orders import NewItem, NewOrder
from models.tables.outbox import OutboxState
from models.upstream import (
    HELD_FROZEN,
    HELD_REFUNDED,
    REFUNDED,
    ChangeKind,
    ChangePlan,
    ChangeState,
    DeskHandover,
    DeskItem,
    LocalOrder,
    NewChange,
    Noted,
    RemoteOrder,
    Values,
    is_refunded,
)

ADDRESS = tuple(
    name for name in NewOrder.__struct_fields__ if name in {"email", "phone"} or name.startswith("ship_")
)
"""Who gets the parcel and where: columns of table ``orders``."""
MAX_NAMED = 10
_address = attrgetter(*ADDRESS)
_ENCODER = msgspec.json.Encoder()
_REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")
_HANDED_OVER = (OutboxState.SENT.value, OutboxState.ALREADY_THERE.value)


def address_digest(order: NewOrder) -> str:
    """Return what stands for the address of an order; it changes when the address does."""
    return _digest(_address(order))


def artwork_digest(items: Sequence[NewItem]) -> str:
    """Return what stands for the items of an order and their prints; it changes when they do."""
    return _digest([(item.sku, item.quantity, item.metadata) for item in items])


def _digest(value: object) -> str:
    # If its form ever changes, a migration must set the old digests to null: see is_another.
    return blake2b(_ENCODER.encode(value), digest_size=8).hexdigest()


def needs_a_look(here: LocalOrder, there: RemoteOrder) -> bool:
    """Return whether something changed that the desk must act on; a mere step of production is not."""
    return (
        is_refunded(here.podos_status) is not is_refunded(there.order.podos_status)
        or here.is_frozen is not there.is_frozen
        or (here.address is not None and here.address_digest != address_digest(there.order))
        or here.artwork_digest != artwork_digest(there.order.items)
    )


def plan_change(here: LocalOrder, there: RemoteOrder, *, canceled_folder: str) -> ChangePlan:
    """Return what follows from how podOS shows an order now.

    Args:
        here: the order, and what podOS said of it last.
        there: what podOS says now.
        canceled_folder: where a refunded order goes; empty: it stays, and is held.

    Safe to repeat: once the judgement is written, the same ``there`` changes nothing any more.
    """
    erased = here.address is None
    done = ChangePlan(
        here.id,
        here.source_id,
        here.hold_reason,
        None if erased else address_digest(there.order),
        artwork_digest(there.order.items),
    )
    was, now = is_refunded(here.podos_status), is_refunded(there.order.podos_status)
    if now and not was:
        _cancel(done, here, canceled_folder)
    elif was and not now:
        _bring_back(done, here, there)
    if here.is_frozen is not there.is_frozen and not now:
        _freeze(done, here, there) if there.is_frozen else _thaw(done, here)
    if not here.is_shipped:
        done.hold_reason = _hold_after(here, there)
    _compare(
        done, here, ChangeKind.ADDRESS, here.address_digest, done.address_digest, _addresses(here, there)
    )
    _compare(done, here, ChangeKind.ARTWORK, here.artwork_digest, done.artwork_digest, _artwork(here, there))
    return done


def our_hold(status: str, *, is_frozen: bool) -> str | None:
    """Return the reason for which the desk itself holds an order that podOS shows so, None for none."""
    if is_refunded(status):
        return HELD_REFUNDED
    return HELD_FROZEN if is_frozen else None


def _hold_after(here: LocalOrder, there: RemoteOrder) -> str | None:
    """Return the hold from now on: ours follows podOS, a person's or a rule's stays."""
    before = our_hold(here.podos_status, is_frozen=here.is_frozen)
    after = our_hold(there.order.podos_status, is_frozen=there.is_frozen)
    if before == after or here.hold_reason not in {None, before}:
        return here.hold_reason
    return after


def _cancel(done: ChangePlan, here: LocalOrder, folder: str) -> None:
    if here.is_shipped:
        _after_shipping(done, "refunded")
        return
    target = folder or here.folder
    if target.casefold() != here.folder.casefold():
        done.move_to, done.why = target, HELD_REFUNDED
    waiting = [
        handover
        for handover in here.handovers
        if handover.state == OutboxState.WAITING.value and not handover.is_begun
    ]
    done.void = [handover.id for handover in waiting]
    ends = f"; no longer waits for {_fulfillers(waiting)}" if waiting else ""
    done.history.append("refunded before it shipped: it is held" + ends + warning(here))
    change = ({"status": here.podos_status, "folder": here.folder}, {"status": REFUNDED, "folder": target})
    done.close |= _open(here, ChangeKind.STATUS, ChangeState.SUPERSEDED)
    done.close |= _open(here, ChangeKind.FROZEN, ChangeState.SUPERSEDED)
    done.changes.append(NewChange(ChangeKind.STATUS, _flag_if_handed_over(here), *change))
    done.noted.append(Noted.CANCELED)


def _bring_back(done: ChangePlan, here: LocalOrder, there: RemoteOrder) -> None:
    status = there.order.podos_status
    if here.is_shipped:
        _after_shipping(done, f"no longer refunded, now {_plain(status)}")
        return
    ours = [change for change in here.changes if change.kind == ChangeKind.STATUS]
    folder = here.folder
    if ours and is_refunded(ours[-1].after.get("status") or ""):
        put, origin = ours[-1].after.get("folder") or "", ours[-1].before.get("folder") or ""
        if put.casefold() == here.folder.casefold() and origin.casefold() != put.casefold():
            done.move_to, done.why, folder = origin, "no longer refunded in podOS", origin
    done.revive = [
        handover.id
        for handover in here.handovers
        if handover.state == OutboxState.VOIDED.value and handover.reason == HELD_REFUNDED
    ]
    goes = "it is to be produced again" if done.move_to or not ours else "it stays where it is"
    held = "; it is held, because it is frozen" if there.is_frozen else ""
    done.history.append(f"no longer refunded, now {_plain(status)}: {goes}{held}")
    done.close |= _open(here, ChangeKind.STATUS, ChangeState.SUPERSEDED)
    values = ({"status": REFUNDED, "folder": here.folder}, {"status": _plain(status), "folder": folder})
    done.changes.append(NewChange(ChangeKind.STATUS, ChangeState.OPEN, *values))
    done.noted.append(Noted.PAID_AGAIN)


def _freeze(done: ChangePlan, here: LocalOrder, there: RemoteOrder) -> None:
    known = ", ".join(reason for reason in there.frozen_reasons if _REASON.fullmatch(reason))
    said = f"frozen ({known})" if known else "frozen"
    if here.is_shipped:
        _after_shipping(done, said)
        return
    is_ours = here.hold_reason in {None, HELD_REFUNDED}
    done.history.append(f"{said}: {'it is held' if is_ours else 'it was held already'}{warning(here)}")
    done.close |= _open(here, ChangeKind.FROZEN, ChangeState.SUPERSEDED)
    values = ({"frozen": "no"}, {"frozen": f"yes: {known}" if known else "yes"})
    done.changes.append(NewChange(ChangeKind.FROZEN, _flag_if_handed_over(here), *values))
    done.noted.append(Noted.HELD)


def _thaw(done: ChangePlan, here: LocalOrder) -> None:
    if here.is_shipped:
        _after_shipping(done, "no longer frozen")
        return
    is_ours = here.hold_reason in {None, HELD_FROZEN, HELD_REFUNDED}
    after = "released" if is_ours else "it stays held, for another reason"
    done.history.append(f"no longer frozen: {after}{warning(here)}")
    still_open = _open(here, ChangeKind.FROZEN, ChangeState.WITHDRAWN)
    done.close |= still_open
    # Whoever was told to stop must be told to go on; who was not told yet, need not know.
    state = ChangeState.SETTLED if still_open else _flag_if_handed_over(here)
    done.changes.append(NewChange(ChangeKind.FROZEN, state, {"frozen": "yes"}, {"frozen": "no"}))
    done.noted.append(Noted.RELEASED)


def _compare(
    done: ChangePlan,
    here: LocalOrder,
    kind: ChangeKind,
    digest: str | None,
    now: str | None,
    values: tuple[Values, Values],
) -> None:
    """Note that podOS's values changed; ``values`` are the fields in which the desk differs from them."""
    before, after = values
    if now is None or not is_another(digest, now, differs=bool(after), is_shipped=here.is_shipped):
        return
    fields = _named(list(after))
    if here.is_shipped:
        _after_shipping(done, kind.value + (f" ({fields})" if fields else ""))
        return
    if not after:
        done.history.append(f"{kind.value}, to what the desk has")
        done.close |= _open(here, kind, ChangeState.WITHDRAWN)
        return
    done.history.append(
        f"{kind.value} ({fields}): the desk keeps its own until somebody takes podOS's" + warning(here)
    )
    done.close |= _open(here, kind, ChangeState.SUPERSEDED)
    done.changes.append(NewChange(kind, ChangeState.OPEN, before, after))
    done.noted.append(Noted(kind.value))


def is_another(digest: str | None, now: str, *, differs: bool, is_shipped: bool) -> bool:
    """Return whether podOS says something else than last time.

    Where nobody kept what it said, the desk's own values stand for it; after shipping that is no news.
    """
    if digest is None:
        return differs and not is_shipped
    return digest != now


def _addresses(here: LocalOrder, there: RemoteOrder) -> tuple[Values, Values]:
    """Return the fields of the address in which podOS and the desk differ: the desk's, and podOS's."""
    if here.address is None:
        return {}, {}
    return _differing(here.address, {name: getattr(there.order, name) for name in ADDRESS})


def _artwork(here: LocalOrder, there: RemoteOrder) -> tuple[Values, Values]:
    """Return the fields of items and prints in which podOS and the desk differ."""
    ours = {name: text for position, item in enumerate(here.items, 1) for name, text in _here(position, item)}
    theirs = {
        name: text
        for position, item in enumerate(there.order.items, 1)
        for name, text in _there(position, item, is_new=position > len(here.items))
    }
    return _differing(ours, theirs)


def _here(position: int, item: DeskItem) -> Iterator[tuple[str, str | None]]:
    yield f"item {position} quantity", str(item.quantity)
    yield f"item {position} sku", item.sku
    for key, text in item.metadata.items():
        if key.startswith("print_"):
            yield f"item {position} {key}", text


def _there(position: int, item: NewItem, *, is_new: bool) -> Iterator[tuple[str, str | None]]:
    yield from _here(position, DeskItem(item.sku, item.quantity, item.metadata))
    if is_new:
        yield f"item {position} name", item.name
        yield f"item {position} source_item_id", item.source_item_id
        yield f"item {position} variant_ref", item.variant_ref


def _differing(ours: Values, theirs: Values) -> tuple[Values, Values]:
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return {name: ours.get(name) for name in names}, {name: theirs.get(name) for name in names}


def _open(here: LocalOrder, kind: ChangeKind, state: ChangeState) -> dict[int, ChangeState]:
    return {
        change.id: state
        for change in here.changes
        if change.kind == kind and change.state == ChangeState.OPEN
    }


def _after_shipping(done: ChangePlan, what: str) -> None:
    done.history.append(f"{what} after it was shipped: nothing is changed here")
    done.noted.append(Noted.AFTER_SHIPPING)


def handed_over(handovers: Sequence[DeskHandover]) -> list[DeskHandover]:
    """Return the handovers of orders that the fulfiller has, or may have."""
    return [
        handover
        for handover in handovers
        if handover.state in _HANDED_OVER
        or (handover.state == OutboxState.WAITING.value and handover.is_begun)
    ]


def _flag_if_handed_over(here: LocalOrder) -> ChangeState:
    return ChangeState.OPEN if handed_over(here.handovers) else ChangeState.SETTLED


def warning(here: LocalOrder) -> str:
    """Return what a person must know who can stop a parcel: fulfillers have no way to be told by us."""
    having = handed_over(here.handovers)
    sure = [handover for handover in having if handover.state in _HANDED_OVER]
    maybe = [handover for handover in having if handover.state not in _HANDED_OVER]
    words = f"; {_fulfillers(sure)} has it already: tell them" if sure else ""
    return words + (f"; {_fulfillers(maybe)} may have it: ask them" if maybe else "")


def _fulfillers(handovers: Sequence[DeskHandover]) -> str:
    return ", ".join(sorted({handover.fulfiller for handover in handovers}))


def _named(fields: Sequence[str]) -> str:
    more = f" and {len(fields) - MAX_NAMED} more" if len(fields) > MAX_NAMED else ""
    return ", ".join(fields[:MAX_NAMED]) + more


def _plain(status: str) -> str:
    """Return a status as the history may keep it for ever: podOS's own word, nothing longer."""
    return status if _REASON.fullmatch(status) else "another status"
