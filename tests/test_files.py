"""Files written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from disks import small_disk

from edge_aigc.errors import FileError
from edge_aigc.files import cache_folder, read_whole, require_folder, write_whole


def test_a_full_disk_is_said_with_numbers_and_leaves_nothing(tmp_path):
    with small_disk(tmp_path / "small") as disk:
        target = disk / "result.bin"
        target.write_bytes(b"old")
        with pytest.raises(FileError) as caught:
            write_whole(target, bytes(1 << 20))
        assert "1,048,576 B" in caught.value.message
        assert "are free" in caught.value.message
        assert target.read_bytes() == b"old"
        assert list(disk.iterdir()) == [target]


def test_a_file_is_replaced_whole_and_readable(tmp_path):
    target = tmp_path / "deep" / "er" / "result.bin"
    write_whole(target, b"one")
    write_whole(target, b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o444 == 0o444
    assert len(list(target.parent.iterdir())) == 1


def test_a_folder_in_the_way_is_an_error(tmp_path):
    with pytest.raises(FileError, match="Cannot write"):
        write_whole(tmp_path, b"x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="Cannot write"):
        write_whole(tmp_path / "file" / "below", b"x")


def test_a_file_too_large_or_missing_is_refused(tmp_path):
    (tmp_path / "big").write_bytes(bytes(100))
    with pytest.raises(FileError, match="larger than 99 B"):
        read_whole(tmp_path / "big", limit_bytes=99, what="picture")
    with pytest.raises(FileError, match="No such file"):
        read_whole(tmp_path / "none", limit_bytes=99, what="picture")
    with pytest.raises(FileError, match="picture"):
        read_whole(tmp_path, limit_bytes=99, what="picture")


def test_a_folder_that_cannot_be_written_is_noticed_beforehand(tmp_path):
    require_folder(tmp_path / "to" / "be" / "made")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(FileError, match="Cannot write"):
            require_folder(folder)


def test_what_the_cache_cannot_hold_names_the_variable_that_moves_it(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        monkeypatch.setenv("EDGE_AIGC_CACHE", str(folder))
        for refused in (lambda: require_folder(cache_folder()), lambda: write_whole(cache_folder() / "a" / "b", b"")):
            with pytest.raises(FileError, match="Cannot write") as caught:
                refused()
            assert "EDGE_AIGC_CACHE" in caught.value.remedy
            assert "`-o`" not in caught.value.remedy
    with small_disk(tmp_path / "small") as disk:
        monkeypatch.setenv("EDGE_AIGC_CACHE", str(disk))
        with pytest.raises(FileError, match="are free") as caught:
            write_whole(cache_folder() / "big", bytes(1 << 20))
        assert "EDGE_AIGC_CACHE" in caught.value.remedy


def test_the_cache_is_where_the_variables_say(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGE_AIGC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edge-aigc"
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "ours"))
    assert cache_folder() == tmp_path / "ours"
