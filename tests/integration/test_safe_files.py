"""The one place that opens files in directories of others."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from tasks.safe_files import Directory, UnsafeFileError


def test_a_new_file_has_the_mode_that_was_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with Directory.open(tmp_path) as directory:
            directory.create("group", 0o640).close()
            directory.create("own").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "group").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o600


def test_a_name_that_is_taken_is_never_opened_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("there")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with Directory.open(tmp_path) as directory:
        for name in ("file", "link"):
            with pytest.raises(FileExistsError):
                directory.create(name)
        directory.replace("file").close()
    assert (tmp_path / "file").read_bytes() == b""
    assert not (tmp_path / "nowhere").exists()


def test_a_leftover_is_taken_up_only_if_it_is_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("half")
    (tmp_path / "link").symlink_to("ours")
    (tmp_path / "twice").write_text("x")
    (tmp_path / "second").hardlink_to(tmp_path / "twice")
    os.mkfifo(tmp_path / "pipe")
    with Directory.open(tmp_path) as directory:
        with directory.update("ours") as file:
            assert file.read() == b"half"
        for name in ("link", "twice", "pipe"):
            assert not directory.is_own_file(name)
            with pytest.raises(UnsafeFileError):
                directory.update(name)
        assert directory.is_own_file("ours")
        assert not directory.is_own_file("none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_leftover_of_another_user_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 65534, 65534)
    with Directory.open(tmp_path) as directory:
        assert not directory.is_own_file("file")
        with pytest.raises(UnsafeFileError, match="somebody else"):
            directory.update("file")


def test_a_link_to_a_directory_is_followed_only_where_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(UnsafeFileError, match="it is a link"):
        Directory.open(tmp_path / "link")
    with Directory.open(tmp_path / "link", follow_link=True) as directory:
        directory.create("file").close()
    assert (tmp_path / "real" / "file").exists()
    with pytest.raises(NotADirectoryError):
        Directory.open(tmp_path / "real" / "file")


@pytest.mark.parametrize(
    ("mode", "above", "is_private"),
    [
        (0o700, 0o700, True),
        (0o755, 0o755, True),
        (0o777, 0o700, False),
        (0o770, 0o700, False),
        (0o1777, 0o700, False),  # others can make files here
        (0o700, 0o777, False),  # others can put another directory in its place
        (0o700, 0o1777, True),  # as in /tmp
    ],
)
def test_private_is_where_nobody_else_can_change_a_path(
    tmp_path: Path, mode: int, above: int, is_private: bool
) -> None:
    place = tmp_path / "above" / "place"
    place.mkdir(parents=True)
    place.chmod(mode)
    place.parent.chmod(above)
    with Directory.open(place) as directory:
        assert directory.is_private() == is_private


def test_a_directory_that_is_elsewhere_now_is_not_private(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir(mode=0o700)
    with Directory.open(tmp_path / "place") as directory:
        (tmp_path / "place").rename(tmp_path / "moved")
        (tmp_path / "place").mkdir(mode=0o700)
        assert not directory.is_private()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_private() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, 65534, 65534)
        with Directory.open(Path(place)) as directory:
            assert not directory.is_private()


def test_a_share_without_permissions_takes_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with Directory.open(tmp_path) as directory, directory.create("order.json", 0o640) as file:
        file.write(b"{}")
    assert (tmp_path / "order.json").read_bytes() == b"{}"


@pytest.mark.parametrize(("number", "is_raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_share_that_can_not_sync_directories_is_no_failure_but_a_broken_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, is_raised: bool
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with Directory.open(tmp_path) as directory:
        if is_raised:
            with pytest.raises(OSError, match="Input/output"):
                directory.sync()
        else:
            directory.sync()
