"""A download against a server that speaks the hub's paths: interrupted, resumed, damaged, missing, redirected."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clip_atelier.engine.core import Control, Event, Progress, Stopped, UserError, WorkError, drive
from clip_atelier.engine.models import Models, downloads
from local_hub import NAME, WEIGHTS, Hub, serving


@pytest.fixture
def hub(tiny_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(tiny_clip) as made:
        monkeypatch.setenv("HF_ENDPOINT", made.address)
        yield made


def test_a_model_is_fetched_checked_and_added_without_strays(home: Path, hub: Hub, tiny_clip: Path) -> None:
    events: list[Event] = []
    folder = drive(downloads.download(NAME, home, Control()), events.append)
    got = {file.name for file in folder.iterdir()}
    assert got == {file.name for file in tiny_clip.iterdir()} | {"LICENSE"}
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    done = [event for event in events if isinstance(event, Progress)]
    assert done[-1].done == done[-1].total == sum(len(hub.files[name]) for name in got)
    models = Models(home)
    assert models.add(folder, "tiny-clip").dim == 24
    downloads.discard(folder)
    assert not any((home / "downloads").iterdir())


def test_a_broken_connection_goes_on_where_it_broke(home: Path, hub: Hub) -> None:
    hub.cuts = [5000, 3000]
    folder = drive(downloads.download(NAME, home, Control()))
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    first, second, third = hub.ranges_of(WEIGHTS)
    assert first == ""
    assert (second, third) == ("bytes=5000-", "bytes=8000-")


def test_what_arrived_before_the_network_went_is_kept_for_the_next_call(home: Path, hub: Hub) -> None:
    hub.cuts = [4000, 0, 0, 0]
    with pytest.raises(WorkError) as told:
        drive(downloads.download(NAME, home, Control()))
    assert told.value.hint
    assert not any(home.glob(f"downloads/*/*/{WEIGHTS}"))
    hub.asked.clear()
    folder = drive(downloads.download(NAME, home, Control()))
    assert hub.ranges_of(WEIGHTS) == ["bytes=4000-"]
    assert not hub.ranges_of("config.json"), "what is whole is not fetched again"
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_mirror_that_cannot_go_on_sends_all_of_it_again(home: Path, hub: Hub) -> None:
    hub.ranges = False
    hub.cuts = [4000]
    folder = drive(downloads.download(NAME, home, Control()))
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_file_with_another_hash_is_thrown_away(home: Path, hub: Hub) -> None:
    hub.wrong_hash = True
    with pytest.raises(WorkError, match="size or hash"):
        drive(downloads.download(NAME, home, Control()))
    assert not any(home.glob(f"downloads/*/*/{WEIGHTS}*"))
    hub.wrong_hash = False
    folder = drive(downloads.download(NAME, home, Control()))
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_model_or_a_file_that_is_not_there_is_named(home: Path, hub: Hub) -> None:
    with pytest.raises(WorkError, match="nobody/nothing"):
        drive(downloads.download("nobody/nothing", home, Control()))
    hub.missing = "config.json"
    with pytest.raises(WorkError, match=NAME):
        drive(downloads.download(NAME, home, Control()))
    assert not (home / "models").exists()


def test_a_model_without_safetensors_is_refused_before_anything_is_fetched(home: Path, hub: Hub) -> None:
    for name in (WEIGHTS, "open_clip_model.safetensors"):
        del hub.files[name]
    with pytest.raises(UserError, match="no safetensors"):
        drive(downloads.download(NAME, home, Control()))
    assert len(hub.asked) == 1


def test_a_stop_keeps_what_arrived(home: Path, hub: Hub) -> None:
    control = Control()

    def stop_in_the_weights(event: Event) -> None:
        if isinstance(event, Progress) and any(home.glob(f"downloads/*/*/{WEIGHTS}.part")):
            control.stop()

    hub.cuts = [4000]
    with pytest.raises(Stopped):
        drive(downloads.download(NAME, home, control), stop_in_the_weights)
    assert [file.stat().st_size for file in home.glob(f"downloads/*/*/{WEIGHTS}.part")]


def test_a_full_disk_is_told_before_the_weights_are_fetched(
    home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _folder: usage)
    with pytest.raises(WorkError, match="no room"):
        drive(downloads.download(NAME, home, Control()))
    assert not hub.ranges_of(WEIGHTS)


@pytest.mark.parametrize("name", ["../etc", "one", "a/b/c", "a b/c"])
def test_what_is_no_name_never_reaches_the_network(home: Path, hub: Hub, name: str) -> None:
    with pytest.raises(UserError, match="not a name on the hub"):
        drive(downloads.download(name, home, Control()))
    assert not hub.asked


def weights_there(home: Path) -> int:
    return sum(file.stat().st_size for file in home.glob(f"downloads/*/*/{WEIGHTS}.part"))


def test_what_trickles_in_is_shown_and_written_as_it_comes(home: Path, hub: Hub) -> None:
    """The server sends the next piece only when the last one was told of."""
    hub.piece = 1 + len(hub.files[WEIGHTS]) // 7
    told: list[int] = []

    def go_on(event: Event) -> None:
        if isinstance(event, Progress) and (there := weights_there(home)):
            told.append(there)
            hub.more.release()

    folder = drive(downloads.download(NAME, home, Control()), go_on)
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert len(hub.ranges_of(WEIGHTS)) == 1, "slow is not broken"
    assert len(set(told)) >= 6
    assert told == sorted(told)


def test_a_slow_download_can_be_stopped_and_goes_on_later(home: Path, hub: Hub) -> None:
    hub.piece = 1000
    control = Control()
    looks: list[int] = []

    def stop(event: Event) -> None:
        """In the middle of the silence after the first piece, which is shorter than what counts as broken."""
        if isinstance(event, Progress) and weights_there(home):
            looks.append(event.done)
            if len(looks) == 3:
                control.stop()

    with pytest.raises(Stopped):
        drive(downloads.download(NAME, home, control), stop)
    assert len(set(looks)) == 1
    there = weights_there(home)
    assert 1000 <= there < len(hub.files[WEIGHTS])
    hub.piece = 0
    folder = drive(downloads.download(NAME, home, Control()))
    assert hub.ranges_of(WEIGHTS)[-1] == f"bytes={there}-"
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_server_that_falls_silent_is_asked_again_from_there(
    home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_SECONDS", 0.2)
    hub.silent = [
        3000,
        2000,
        1000,
        500,
    ]  # more often than it may say nothing at all: each time something came
    folder = drive(downloads.download(NAME, home, Control()))
    assert hub.ranges_of(WEIGHTS) == ["", "bytes=3000-", "bytes=5000-", "bytes=6000-", "bytes=6500-"]
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_server_that_stays_silent_is_named_and_can_be_left(
    home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_SECONDS", 0.1)
    hub.silent = [3000, *[0] * 9]
    with pytest.raises(WorkError, match=NAME) as told:
        drive(downloads.download(NAME, home, Control()))
    assert "timed out" in told.value.message
    assert weights_there(home) == 3000
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and hub.ranges_of(WEIGHTS).count("bytes=3000-") > 3:
            control.stop()

    with pytest.raises(Stopped):
        drive(downloads.download(NAME, home, control), stop)


@pytest.mark.parametrize("below", ["", "/mirrors/models"])
def test_a_mirror_is_asked_instead_of_the_hub(
    home: Path, hub: Hub, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.below = below
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.address}{below}/")
    folder = drive(downloads.download(NAME, home, Control()))
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


@pytest.mark.parametrize("address", ["ftp://mirror.invalid", "mirror.invalid", "file:///etc"])
def test_what_is_no_address_of_a_mirror_is_named(
    home: Path, hub: Hub, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(WorkError, match=address):
        drive(downloads.download(NAME, home, Control()))
    assert not hub.asked


def test_a_proxy_is_asked_for_what_it_is_there_for(
    home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked up at each download: a first one without a proxy does not decide for the later ones."""
    drive(downloads.download(NAME, home, Control()))
    downloads.discard(next(home.glob("downloads/*/*")))
    assert not hub.hosts
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("http_proxy", hub.address)
    monkeypatch.setenv("no_proxy", "")
    folder = drive(downloads.download(NAME, home, Control()))
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert set(hub.hosts) == {"hub.invalid", hub.address.removeprefix("http://")}
    downloads.discard(folder)

    # Addresses that the proxy is not for are asked directly.
    hub.hosts.clear()
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    drive(downloads.download(NAME, home, Control()))
    assert not hub.hosts


def test_without_a_network_the_reason_is_said_in_plain_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(WorkError) as caught:
        drive(downloads.download("someone/model", home, Control()))
    assert "could not be downloaded" in caught.value.message
    assert "urlopen" not in caught.value.message
    assert "Errno" not in caught.value.message
