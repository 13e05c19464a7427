"""The licence gate, the slimming rules and the notices: what may travel in an installer, and what must."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pi_heif
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))

from installer import licences, notices, slim, tree  # noqa: E402
from installer.owners import Contents, owned  # noqa: E402
from installer.project import BuildError, version  # noqa: E402


@pytest.mark.parametrize(
    "name",
    [
        "program/libreadline.so.8", "program/_pillow_heif.cpython-311-x86_64-linux-gnu.so", "program/python3.11/lib-dynload/readline.cpython-311-x86_64-linux-gnu.so",
        "program/pillow_heif.libs/libx265-9a.so.199", "program/PySide6/Qt/plugins/platformthemes/libqgtk3.so",
        "program/libgdbm.so.6", "program/python3.11/lib-dynload/_gdbm.cpython-311.so", "program/libcudart.so.12",
        "program/PySide6/Qt/plugins/sqldrivers/libqsqlmysql.so", "program/libgtk-3.so.0", "program/torch/lib/cudnn64_9.dll",
    ],
)  # fmt: skip
def test_what_would_bind_the_program_is_refused_by_name(name: str) -> None:
    if name.endswith("cudnn64_9.dll"):
        assert not licences.forbidden([name], "cuda")
        name = name.replace("cudnn64_9.dll", "libcudnn.so.9")
    (fault,) = licences.forbidden(
        [name, "program/torch/cuda/nvidia_tools.py", "program/torch/lib/libtorch_cpu.so"]
    )
    assert name in fault


def test_cuda_belongs_to_its_own_edition() -> None:
    assert licences.forbidden(["program/nvidia/cudnn/lib/libcudnn.so.9"])
    assert not licences.forbidden(["program/nvidia/cudnn/lib/libcudnn.so.9"], "cuda")
    assert licences.forbidden(["program/libreadline.so.8"], "cuda")


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT", True), ("Apache-2.0 AND MIT", True), ("GPL-3.0-only", False), ("GPL-2.0-only OR LGPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False), ("AGPL-3.0-only", False), ("", False), ("(MIT OR GPL-2.0-only) AND Zlib", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True), ("Proprietary", False),
    ],
)  # fmt: skip
def test_of_alternatives_one_is_enough_and_of_parts_all_count(licence: str, accepted: bool) -> None:
    assert (licences.objection(licence) == "") is accepted


def test_every_package_the_program_runs_with_has_an_accepted_licence() -> None:
    pins = (ROOT / "packaging" / "requirements.txt").read_text(encoding="utf-8")
    runtime = pins.partition("# Installs the program itself")[0]
    wanted = {re.sub(r"[-_.]+", "-", n).lower() for n in re.findall(r"^([\w.-]+)==", runtime, re.MULTILINE)}
    installed = {re.sub(r"[-_.]+", "-", d.name).lower(): d.name for d in distributions()}
    assert wanted <= set(installed)
    faults = {n: licences.objection(licences.stated("distribution", installed[n])[1]) for n in wanted}
    assert {name: fault for name, fault in faults.items() if fault} == {}
    parts = [licences.Component(n, "", licences.stated("distribution", n)[1], "distribution", 1)
             for n in map(installed.__getitem__, sorted(wanted))]  # fmt: skip
    assert [part.name for part in parts if not list(notices._texts_of(part))] == []


def test_a_file_of_unknown_origin_stops_the_build(tmp_path: Path) -> None:
    stray = tmp_path / "elsewhere" / "libstray.so.1"
    stray.parent.mkdir()
    stray.write_bytes(b"\x7fELF")
    with pytest.raises(BuildError, match=r"libstray\.so\.1"):
        owned([("libstray.so.1", str(stray))], tmp_path / "work")


def test_an_unwritten_system_library_stops_the_build() -> None:
    contents = Contents([], [], {("system", "libcurl4"): ["libcurl.so.4"], ("own", "CLIP Atelier"): ["x"]})
    with pytest.raises(BuildError, match="libcurl4"):
        licences.check(contents)


def test_notices_hold_each_text_once_and_name_the_source_of_qt(tmp_path: Path) -> None:
    parts = [
        licences.Component(name, licences.stated("distribution", name)[0], licences.stated("distribution", name)[1],
                           "distribution", 1)
        for name in ("PySide6_Essentials", "shiboken6", "tokenizers", "transformers", "numpy", "pi_heif", "resvg_py")
    ]  # fmt: skip
    text = notices.write(parts, tmp_path / "notices.txt").read_text(encoding="utf-8")
    qt = next(p.version for p in parts if p.name == "PySide6_Essentials")
    assert f"PySide6-{qt}-src" in text
    assert text.count("GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 3") == 1
    assert f"v{pi_heif.libheif_version()} of strukturag/libheif" in text
    assert "Yevhenii Reizner" in text
    assert "Fluent Emoji" in text
    assert "SIL OPEN FONT LICENSE" in text
    for part in parts:
        assert f"{part.name} {part.version}" in text
    numbers = {int(n) for n in re.findall(r"\[(\d+)\]", text.partition("=" * 100)[2])}
    assert numbers == set(range(1, max(numbers) + 1))


def test_a_component_without_a_text_stops_the_build(tmp_path: Path) -> None:
    nameless = licences.Component("tokenizers", "0", "MIT", "distribution", 1)
    with pytest.raises(BuildError, match="tokenizers"):
        notices.write([nameless], tmp_path / "notices.txt")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("torch/test/cpp.bin", False), ("torch/bin/protoc", False), ("torch/bin/torch_shm_manager", True),
        ("torch/testing/_internal/common.py", True), ("torch/distributed/__init__.py", True), ("torch/include/a.h", False),
        ("PySide6/Qt/plugins/platforms/libqxcb.so", True), ("PySide6/Qt/plugins/platforms/libqeglfs.so", False),
        ("PySide6/Qt/plugins/platformthemes/libqgtk3.so", False), ("PySide6/plugins/platforms/qwindows.dll", True),
        ("PySide6/Qt/translations/qtbase_ko.qm", True), ("PySide6/Qt/translations/qtbase_de.qm", False),
        ("PySide6\\plugins\\platforms\\qdirect2d.dll", False), ("huggingface_hub/templates/modelcard_template.md", True),
        ("transformers/models/clip/modeling_clip.py", True), ("transformers/models/__init__.py", True),
        ("transformers/models/llama/modeling_llama.py", False), ("libgtk-3.so.0", False), ("libX11.so.6", True),
        ("resources/models/starter/model.safetensors", True), ("resources/translations/ko/LC_MESSAGES/clip_atelier.po", False), ("sympy/core/tests/test_x.py", False),
    ],
)  # fmt: skip
def test_what_is_left_behind(name: str, kept: bool) -> None:
    assert slim.keeps(name) is kept


def test_an_incomplete_tree_is_refused_and_everything_missing_is_named(tmp_path: Path) -> None:
    program = tmp_path / "clip-atelier" / tree.INSIDE
    (program / "resources").mkdir(parents=True)
    (program / "libreadline.so.8").write_bytes(b"")
    (program / "away.txt").symlink_to("/etc/hostname")
    with pytest.raises(BuildError) as refusal:
        tree.check(program.parent, platform="linux")
    for named in (
        "Pretendard-Regular.otf",
        "libqxcb.so",
        "starter/model.safetensors",
        "libreadline",
        "away.txt",
    ):
        assert named in str(refusal.value)


def test_the_list_of_files_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for place in ("one", "two"):
        for name in ("나.txt", "b", "a/c"):
            file = tmp_path / place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
        record = tmp_path / place / "some-1.dist-info" / "RECORD"
        record.parent.mkdir()
        record.write_text(f"../../../bin/some,sha256={place},20\nsome.py,sha256=abc,3\n")
        tree.normalise(tmp_path / place, 1_700_000_000)
        assert record.read_text() == "some.py,sha256=abc,3\n"
    lists = [
        tree.listing(tmp_path / place, tmp_path / f"{place}.txt").read_bytes() for place in ("one", "two")
    ]
    assert lists[0] == lists[1]
    assert lists[0].count(b"\n") == 4
    assert (tmp_path / "one" / "a").stat().st_mode & 0o777 == 0o755


def test_locks_pin_what_the_requirements_pin() -> None:
    pins = re.findall(
        r"^([\w.-]+)==([^\s;+]+)", (ROOT / "packaging" / "requirements.txt").read_text(), re.MULTILINE
    )
    for lock in sorted((ROOT / "packaging" / "lock").glob("*.txt")):
        text = lock.read_text(encoding="utf-8")
        locked = {
            re.sub(r"[-_.]+", "-", n).lower(): v
            for n, v in re.findall(r"^([\w.-]+)==([^\s+]+)", text, re.MULTILINE)
        }
        for name, pinned in pins:
            assert locked.get(re.sub(r"[-_.]+", "-", name).lower()) == pinned, f"{lock.name}: {name}"
        assert text.count("--hash=sha256:") == len(locked)
        assert "://" not in text


def test_the_version_is_said_in_one_place() -> None:
    import clip_atelier

    assert version() == clip_atelier.__version__


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_missing_a_short_and_a_damaged_slice_are_named(tmp_path: Path) -> None:
    from installer import slices

    program, out = tmp_path / "clip-atelier", tmp_path / "받은 파일"
    (program / tree.INSIDE).mkdir(parents=True)
    (program / tree.INSIDE / "data.bin").write_bytes(
        bytes((n * n * 31) % 251 for n in range(200_000)) + b"x" * 99
    )
    (program / "clip-atelier").write_text("#!/bin/sh\necho started\n")
    (program / "clip-atelier").chmod(0o755)
    made = slices.build(program, out, limit=1_000, platform="linux")
    parts = [path for path in made if path.suffix[1:].isdigit()]
    assert len(parts) > 2
    script, prefix = made[-1], tmp_path / "설치 place"

    def install() -> subprocess.CompletedProcess[str]:
        command = ["sh", str(script), "--prefix", str(prefix)]
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "LANG": "C.UTF-8",
            "TMPDIR": str(tmp_path),
        }
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    content = parts[1].read_bytes()
    for broken, word in ((None, "missing"), (content[:-1], "not complete"), (b"?" + content[1:], "damaged")):
        parts[1].unlink() if broken is None else parts[1].write_bytes(broken)
        refused = install()
        assert refused.returncode == 1
        assert parts[1].name in refused.stderr
        assert word in refused.stderr
        assert not prefix.exists()
    parts[1].write_bytes(content)
    if sys.platform == "linux" and __import__("os").geteuid() != 0:
        done = install()
        assert done.returncode == 0, done.stderr
        assert (prefix / tree.INSIDE / "data.bin").read_bytes() == (
            program / tree.INSIDE / "data.bin"
        ).read_bytes()
