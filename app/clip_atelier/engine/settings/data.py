"""How a folder becomes training data."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from clip_atelier.engine.core import N_, _
from clip_atelier.engine.settings.declare import Block, setting


class DataSettings(Block):
    """How a folder becomes training data."""

    captions: Literal["auto", "metadata", "sidecar", "embedded", "folder", "filename"] = setting(
        "auto",
        affects=("scan",),
        title=N_("Captions from"),
        summary=N_(
            "Where the words for each image come from. Automatic takes the first source that is present."
        ),
        detail=N_(
            "In order: a metadata.csv or metadata.jsonl table, else a table of another program (open_clip's CSV, COCO captions, "
            "kohya's meta JSON, Eagle's library, or a CSV, TSV or JSON with names and texts); a text file beside each image "
            "(NAME.txt, NAME.png.txt, NAME.caption or NAME.xmp); what the image file itself says (XMP, IPTC, EXIF); "
            "the folder's name used as a class; the file's own name in words."
        ),
        choices={
            "auto": N_("the first that is present"),
            "metadata": N_("metadata.csv or metadata.jsonl"),
            "sidecar": N_("a text file beside each image"),
            "embedded": N_("the image files themselves (XMP, IPTC, EXIF)"),
            "folder": N_("the folder's name"),
            "filename": N_("the file's name in words"),
        },
    )
    template: str = setting(
        "a drawing of {label}",
        affects=("scan",),
        title=N_("Caption template"),
        summary=N_(
            "Sentence made from a folder's name when folders are the classes. {label} stands for the name."
        ),
        detail=N_(
            "CLIP was trained on sentences, so a short sentence usually works better than a bare word."
        ),
        source="Radford et al. 2021, arXiv:2103.00020, section 3.1.4",
        advanced=True,
        pattern=r"\{label\}",
    )
    caption_lines: Literal["auto", "each", "one"] = setting(
        "auto",
        affects=("scan",),
        title=N_("Lines of captions"),
        summary=N_(
            "How the lines of a caption file or cell are taken. Automatic: each is a caption, but one that ends in a comma "
            "goes on in the next."
        ),
        detail=N_("Lists in JSON, as this program writes several captions, are always taken as they are."),
        choices={
            "auto": N_("a line is a caption; after a comma it goes on"),
            "each": N_("every line is a caption"),
            "one": N_("all lines together are one caption"),
        },
        advanced=True,
    )
    tags: Literal["words", "as_written"] = setting(
        "words",
        affects=("scan",),
        title=N_("Tags"),
        summary=N_(
            "Tags such as long_hair or (night:1.2) are read as words: no underscores, weights or escapes, and <lora:…> left "
            "out."
        ),
        detail=N_(
            "The files themselves are not changed. Captions without such signs are the same in both ways."
        ),
        choices={"words": N_("as words"), "as_written": N_("as they are written")},
        advanced=True,
    )
    sketches: str = setting(
        "",
        affects=("scan",),
        title=N_("Folder of sketches"),
        summary=N_(
            "Sub-folder that holds the sketches of sketch and artwork pairs. Empty: recognised by its name."
        ),
        detail=N_(
            "Files with the same name in both folders form a pair. Recognised: sketches, lineart, drawings and the like. "
            "In a collection of several folders it may be one of them, by its name."
        ),
        advanced=True,
    )
    artworks: str = setting(
        "",
        affects=("scan",),
        title=N_("Folder of artworks"),
        summary=N_(
            "Sub-folder that holds the finished artworks of the pairs. Empty: recognised by its name."
        ),
        detail=N_(
            "Files with the same name in both folders form a pair. Recognised: artworks, color, photos and the like. "
            "In a collection of several folders it may be one of them, by its name."
        ),
        advanced=True,
    )
    validation: float = setting(
        0.15,
        affects=("split",),
        title=N_("Validation share"),
        summary=N_("Share of the collection kept aside to choose the best checkpoint and strength."),
        detail=N_(
            "Images that belong together (a pair, the same caption, near-duplicates) are kept aside together. "
            "A 'split' column in metadata.csv decides instead, where there is one."
        ),
        ge=0.02,
        le=0.5,
        step=0.05,
    )
    test: float = setting(
        0.15,
        affects=("split",),
        title=N_("Test share"),
        summary=N_(
            "Share kept aside for the final comparison only. Nothing is chosen by it, so its result can be believed."
        ),
        detail=N_(
            "Choosing on the same images that are reported makes every result look better than it is. The table and the "
            "verdict therefore use images that took no part in training or choosing. 0 reports on the validation images."
        ),
        ge=0.0,
        le=0.5,
        step=0.05,
    )
    split_seed: int = setting(
        0,
        affects=("split",),
        title=N_("Split seed"),
        summary=N_(
            "Number that decides which images are kept aside. Trainings are only comparable with the same one."
        ),
        detail=N_(
            "It is separate from the training's seed, so that several seeds of one setting answer the same questions."
        ),
        ge=0,
        le=2**31 - 1,
        advanced=True,
    )
    image_fit: Literal["letterbox", "crop", "squash"] = setting(
        "letterbox",
        affects=("features",),
        title=N_("Fit into the square"),
        summary=N_(
            "Letterbox keeps the whole drawing on its paper colour; crop cuts the sides off, as CLIP's own pipeline does; "
            "squash pulls it to the square, as SigLIP's does."
        ),
        detail=N_(
            "CLIP sees a small square. A wide drawing loses its ends when cropped, so letterboxing is the rule here. A model that sees "
            "drawings in their own shape (SigLIP 2 NaFlex) needs no paper around them."
        ),
        choices={
            "letterbox": N_("keep all, fill with the paper's colour"),
            "crop": N_("centre crop"),
            "squash": N_("pull to the square"),
        },
        advanced=True,
    )
    repeats: bool = setting(
        True,
        affects=("learning", "length"),
        title=N_("Repeats of folders"),
        summary=N_(
            "Drawings in a folder like “10_red cat” are seen ten times as often as those in “1_dog”, as kohya's programs do."
        ),
        detail=N_(
            "Only where folders begin with such numbers, and not where these put the folders in an order (01_, 02_, 03_). What counts "
            "is how they compare: the same number everywhere changes nothing."
        ),
        source="kohya-ss/sd-scripts, docs/train_README",
        advanced=True,
    )
    views: int = setting(
        1,
        affects=("features",),
        title=N_("Varied views per image"),
        summary=N_(
            "How many slightly shifted and scaled views of each training image are used in turn. 1 uses the image as it is."
        ),
        detail=N_(
            "Views are drawn once and kept, so that their features can be stored: n views cost n first passes and nothing "
            "afterwards. They help when there are few drawings."
        ),
        ge=1,
        le=32,
        advanced=True,
    )
    crop_min: float = setting(
        0.7,
        affects=("features",),
        title=N_("Smallest crop"),
        summary=N_("Smallest share of a drawing that a varied view may show. Drawings want 0.6 or more."),
        detail=N_(
            "Photo recipes crop down to 0.08; half a drawing is often another drawing, so keep most of it."
        ),
        ge=0.2,
        le=1.0,
        step=0.05,
        advanced=True,
    )
    flip: bool = setting(
        False,
        affects=("features",),
        title=N_("Mirror"),
        summary=N_(
            "Varied views may be mirrored. Leave it off where left and right matter (lettering, arrows)."
        ),
        advanced=True,
    )

    @field_validator("template")
    @classmethod
    def _usable_template(cls, value: str) -> str:
        if set("{}") & set(value.replace("{label}", "")):
            raise ValueError(_("only {label} may stand in braces"))
        return value
