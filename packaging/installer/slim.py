"""What a frozen program leaves behind of the libraries it is made from, and why.

Rules work on names inside the program's folder, with forward slashes. What must not be dropped although it looks
idle: torch.testing._internal, torch.distributed, torch._dynamo and sympy are imported by torch itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from installer.project import run

#: Modules that are never followed. The first group would bring GPL libraries with it, see `licences`.
EXCLUDED_MODULES: Final = (
    "readline", "_gdbm", "_dbm", "nis", "pillow_heif", "qfluentwidgets",
    "curses", "_curses", "_curses_panel", "tkinter", "_tkinter", "turtle", "idlelib", "lib2to3", "ensurepip", "test",
    "hf_xet", "IPython", "matplotlib", "pandas", "pytest", "torchvision", "torchaudio", "tensorflow", "jax", "flax",
    "numba", "cupy", "onnxruntime", "bitsandbytes", "triton", "pip",
    # of TensorBoard only what writes its files
    "grpc", "markdown", "werkzeug", "tensorboard_data_server", "tensorboard.main", "tensorboard.backend", "tensorboard.program",
    "pyarrow",  # 100 MB for one kind of table
    "skimage.data", "skimage.io", "skimage.feature", "skimage.graph", "skimage.metrics", "skimage.registration",
    "skimage.future", "imageio", "tifffile", "pooch",
    "pyqtgraph.examples", "pyqtgraph.opengl", "OpenGL", "PIL.ImageTk", "PIL.ImageQt",
    "PySide6.QtQml", "PySide6.QtQuick", "PySide6.QtNetwork", "PySide6.QtTest",
    "PySide6.QtDesigner", "PySide6.QtSql", "PySide6.QtPrintSupport", "PySide6.QtHelp", "PySide6.QtUiTools",
    "PySide6.QtXml", "PySide6.QtConcurrent",
)  # fmt: skip

#: The families of CLIP that `clip_atelier.engine.models` opens, and what transformers needs to open any model at all.
KEPT_TRANSFORMERS: Final = (
    "auto", "clip", "metaclip_2", "siglip", "siglip2", "chinese_clip", "altclip",
    "bert", "xlm_roberta", "roberta", "gemma",  # the tokenizers that some of these name
    "aimv2", "align", "gte", "diffusion_gemma",  # the library asks these first for the same tokenizers, and stops where one is missing
    "bloom",  # PEFT looks at Bloom when it is imported
    "encoder_decoder", "timm_wrapper", "timm_backbone",
)  # fmt: skip

#: Packages whose stubs are read at run time: `lazy_loader` takes from them what to load when it is first asked for.
KEPT_STUBS: Final = ("clip_atelier", "skimage")

#: The parts of scikit-image that `clip_atelier.engine.intake` uses, and those that they use; each loads its own modules by name.
SKIMAGE: Final = (
    "_shared",
    "_vendored",
    "color",
    "draw",
    "exposure",
    "filters",
    "measure",
    "morphology",
    "restoration",
    "segmentation",
    "transform",
    "util",
)

#: Qt's platforms: the desktop and the one that needs none. On Wayland Qt runs through XWayland.
KEPT_QT_PLATFORMS: Final = ("qxcb", "qoffscreen", "qwindows", "qcocoa")

_DROPPED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # torch: its tests, its command-line tools, headers for building extensions
        r"torch/test/.*",
        r"torch/bin/(?!torch_shm_manager).*",
        r"torch/(include|share)/.*",
        r"torch/lib/.*\.(a|lib|pdb)",
        r"torch/utils/(benchmark|bottleneck)/.*",
        r"torch/utils/model_dump/.*",
        r"(torch|functorch|scipy|sklearn|numpy|networkx|sympy|mpmath|joblib|narwhals|PIL|pyqtgraph|openTSNE|peft|skimage)/(.*/)?tests?/.*",
        r"sklearn/datasets/(data|images|descr)/.*",
        r"skimage/(data|io|feature|graph|metrics|registration|future)/.*",
        r"transformers/models/(?!(%s)/|__init__\.py).+" % "|".join(KEPT_TRANSFORMERS),  # noqa: UP031 - a regex in a regex
        r"transformers/(kernels|cli|pipelines/(?!__init__|base)|commands)/.*",
        r"pyqtgraph/(examples|opengl)/.*",
        r"hf_xet.*",
        # what exports need of onnx and TensorBoard is their writers
        r"onnx/(backend|fuzz)/.*",
        r"tensorboard/(webfiles\.zip|data|backend|_vendor/(?!tensorflow_serving|__init__).*|plugins/.*\.(js|html))(/.*)?",
        r"resources/translations/.*\.pot?",
        # Qt: platforms nobody has on a desktop, the GTK theme (which drags GTK in), everything about networks and printing
        r"PySide6/.*plugins/platforms/(?!(lib)?(%s)).*" % "|".join(KEPT_QT_PLATFORMS),  # noqa: UP031
        r"PySide6/.*plugins/platformthemes/(?!(lib)?qxdgdesktopportal).*",
        r"PySide6/.*plugins/platforminputcontexts/(lib)?qtvirtualkeyboard.*",
        r"PySide6/.*plugins/imageformats/(lib)?(qpdf|qtiff|qtga|qwbmp|qicns).*",
        r"PySide6/.*plugins/(egldeviceintegrations|generic|networkinformation|tls|printsupport|sqldrivers|qmltooling|"
        r"vectorimageformats|position|wayland[^/]*)/.*",
        r"PySide6/.*/translations/(?!qt(base)?_(ko|en)\.qm).*",
        r"PySide6/.*(Qt6?(Qml|Quick|VirtualKeyboard|Pdf|Network|Wayland|WlShell|EglF[sS]|Test)[A-Za-z]*)([.]so.*|[.]dll|[.]framework/.*)",
        r"PySide6/(opengl32sw|Qt/qml/).*",
        # Python: what builds and tests it
        r".*/__pycache__/.*",
        r"(?!(%s)/).*\.pyi" % "|".join(KEPT_STUBS),  # noqa: UP031
        r".*\.(pxd|pyx|cmake|lib|a|h|hpp|cuh)",
        r"setuptools/.*",
    )
)

#: Libraries of the host that bring GTK, GStreamer or printing; nothing here loads them once their plugins are gone.
_DROPPED_LIBRARIES: Final = re.compile(
    r"(lib(gtk|gdk|gdk_pixbuf|cairo|pango|atk|at-spi|atspi|epoxy|wayland|harfbuzz-subset|cups|gst|thai|datrie|fribidi|cloudproviders|"
    r"Xcomposite|Xdamage|Xinerama|readline|tinfo|ncurses|gdbm|db-5|nsl|cudart|cuda|cublas|cudnn|nvidia)[-\w.]*\.so[\d.]*)"
)


def keeps(name: str) -> bool:
    """Whether a file of this name stays in the program's folder."""
    name = name.replace("\\", "/")
    if any(rule.fullmatch(name) for rule in _DROPPED):
        return False
    return "/" in name or _DROPPED_LIBRARIES.fullmatch(name) is None


def slimmed(entries: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """PyInstaller's entries (name, source, kind) without what is dropped."""
    return [entry for entry in entries if keeps(entry[0])]


#: Libraries that come with the names of all their inner functions, which only a debugger reads: 115 MB of them.
#: Others stay as they are; some that were rewritten for their wheels do not survive stripping.
_STRIPPED: Final = (
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libtorch_python.so",
    "libpython3.11.so.1.0",
    "python3.11/lib-dynload/*.so",
)


def strip(program: Path) -> None:
    """Takes those names away, on Linux, from the frozen program's inner folder."""
    for pattern in _STRIPPED if sys.platform == "linux" else ():
        for file in sorted(program.glob(pattern)):
            run(["strip", "--strip-all", file])


#: Libraries that PyInstaller leaves to the system, because they belong to its graphics driver, each after those it
#: needs. A bare system has none: copies lie in `fallback/` and are opened only where the system has no own.
FALLBACK_LIBRARIES: Final = (
    ("libXau.so.6", "libmd.so.0", "libbsd.so.0", "libXdmcp.so.6", "libxcb.so.1", "libGLdispatch.so.0", "libGLX.so.0",
     "libEGL.so.1", "libOpenGL.so.0", "libGL.so.1")
    if sys.platform == "linux"
    else ()
)  # fmt: skip
