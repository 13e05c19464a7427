"""What slimming leaves in the frozen program: all that is opened at run time, whatever it looks like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))

from clip_atelier.engine.models import families  # noqa: E402
from installer import slim  # noqa: E402

APP = ROOT / "app"


def test_the_doors_of_all_rooms_stay() -> None:
    """A room loads what its stub names; without it, the frozen program opens none."""
    doors = [
        file.relative_to(APP).as_posix()
        for file in APP.rglob("*.py")
        if "attach_stub" in file.read_text("utf-8")
    ]
    assert len(doors) > 5
    stubs = [f"{door}i" for door in doors]
    assert [stub for stub in stubs if not (APP / stub).is_file()] == []
    assert [stub for stub in stubs if not slim.keeps(stub)] == []
    assert [stub for stub in stubs if not slim.keeps(stub.replace("/", "\\"))] == []


@pytest.mark.parametrize(
    "name",
    [
        "PIL/_avif.cpython-311-x86_64-linux-gnu.so",
        "PIL/AvifImagePlugin.py",
        "pillow.libs/libavif-0123abcd.so.16.3.0",
        "libavif-0123abcd.so.16.3.0",
        "pypdfium2_raw/libpdfium.so",
        "_pi_heif.cpython-311-x86_64-linux-gnu.so",
        "pi_heif/as_plugin.py",
        "pi_heif.libs/libheif-7a3e919c.so.1.23.0",
        "pi_heif.libs/libde265-90fb0ce1.so.0.2.0",
        "libde265-0-aa0625e0aec56a9d4310a2447674dd8a.dll",
        "resvg_py/resvg_py.abi3.so",
        "pypdfium2_raw/version.json",
        "skimage/__init__.pyi",
        "skimage/morphology/__init__.pyi",
        "skimage/morphology/_grayreconstruct.cpython-311-x86_64-linux-gnu.so",
    ],
)
def test_what_reads_drawings_stays(name: str) -> None:
    assert slim.keeps(name)


def test_every_family_of_models_stays() -> None:
    assert set(families.FAMILIES) <= set(slim.KEPT_TRANSFORMERS)


@pytest.mark.parametrize(
    "name",
    [
        "onnx/onnx_cpp2py_export.so",
        "torch/utils/tensorboard/writer.py",
        "onnxscript/function_libs/torch_lib/ops/nn.py",
    ],
)
def test_what_exports_ask_for_by_name_stays(name: str) -> None:
    assert slim.keeps(name)
    assert not {name.split("/", maxsplit=1)[0], "tensorboard"} & set(slim.EXCLUDED_MODULES)


@pytest.mark.parametrize(
    "name",
    [
        "torch/__init__.pyi",
        "numpy/__init__.pyi",
        "torch/include/a.h",
        "PySide6/QtCore.pyi",
        "skimage/data/astronaut.png",
        "skimage/io/__init__.pyi",
    ],
)
def test_what_only_a_checker_or_a_compiler_reads_goes(name: str) -> None:
    assert not slim.keeps(name)


def test_pages_need_nothing_of_what_stays_behind() -> None:
    """What slimming leaves out of scikit-image is not missed when drawings are cut out of a page."""
    gone = tuple(
        name for name in slim.EXCLUDED_MODULES if name.startswith(("skimage.", "imageio", "tifffile"))
    )
    code = f"""
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({gone!r}):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Gone())
from pathlib import Path
from PIL import Image, ImageDraw
from clip_atelier.engine.intake import Page, SeenPage, look_again
from clip_atelier.engine.intake.corners import find_corners
import numpy
page = Image.new("RGB", (200, 160), (235, 228, 210))
ImageDraw.Draw(page).ellipse((40, 30, 90, 90), outline=(20, 20, 20), width=3)
desk = Image.new("RGB", (300, 260), (80, 60, 50))
desk.paste(page, (50, 50))
corners = find_corners(numpy.asarray(desk))
seen = look_again(SeenPage(Page(Path("x")), desk, desk), Page(Path("x"), corners), 0.05)
assert len(seen.page.boxes) == 1
used = {{".".join(name.split(".")[1:2]) for name in sys.modules if name.startswith("skimage.")}}
assert used <= set({slim.SKIMAGE!r}), used
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_asked_first_for_a_tokenizer_is_kept() -> None:
    """The library imports the first module that names a tokenizer, and stops where it is missing."""
    from importlib import import_module

    from transformers.models.auto.configuration_auto import model_type_to_module_name
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    from clip_atelier import selftest_reach

    for tokenizer in selftest_reach._TOKENIZERS:
        for kind, named in TOKENIZER_MAPPING_NAMES.items():
            if named == tokenizer:
                module = model_type_to_module_name(kind)
                assert module in slim.KEPT_TRANSFORMERS, f"{tokenizer} is looked for in {module}"
                if hasattr(import_module(f"transformers.models.{module}"), tokenizer):
                    break  # here it is found
