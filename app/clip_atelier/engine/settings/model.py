"""The settings themselves. LoRA settings carry PEFT's own names and pass to `LoraConfig` as they are."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from clip_atelier.engine.i18n import N_, _
from clip_atelier.engine.settings.declare import Block, setting

Target = Literal[
    "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "visual_projection", "text_projection"
]

TARGET_TEXTS = {
    "q_proj": N_("what each patch or word looks for in the others (attention query)"),
    "k_proj": N_("what each patch or word offers to be found by (attention key)"),
    "v_proj": N_("what each patch or word passes on (attention value)"),
    "out_proj": N_("how attention's answers are mixed again"),
    "fc1": N_("first half of each layer's feed-forward network"),
    "fc2": N_("second half of each layer's feed-forward network"),
    "visual_projection": N_("the last step of the image side, into the space shared with words"),
    "text_projection": N_("the last step of the text side, into the space shared with images"),
}


class LoraSettings(Block):
    """Low-rank adaptation; names and meanings are PEFT's."""

    r: int = setting(
        8,
        title=N_("Rank (r)"),
        summary=N_(
            "How many directions the update may use. Usual: 4 to 32. Smaller needs less memory and can express less."
        ),
        detail=N_(
            "LoRA adds to each chosen weight matrix W an update B·A, where A has r rows and B has r columns. The update can "
            "therefore have rank r at most. With few drawings a small rank (2 to 8) generalises as well as a large one and "
            "forgets less; raise it when the training loss stays high although the learning rate is right."
        ),
        source="Hu et al. 2021, arXiv:2106.09685; PEFT LoraConfig.r",
        ge=1,
        le=256,
    )
    lora_alpha: float = setting(
        16,
        title=N_("Scale (lora_alpha)"),
        summary=N_(
            "Strength of the update. PEFT multiplies it by lora_alpha / r, so it is usually kept proportional to r."
        ),
        detail=N_(
            "The update that reaches the model is (lora_alpha / r) · B·A, or (lora_alpha / √r) · B·A with rsLoRA; not "
            "lora_alpha alone. Doubling r without touching lora_alpha therefore halves the scale. A large scale acts much "
            "like a larger learning rate and can make training unstable."
        ),
        source="PEFT LoraConfig.lora_alpha, LoraLayer.scaling",
        gt=0,
        le=1024,
        step=1,
    )
    target_modules: tuple[Target, ...] = setting(
        ("q_proj", "v_proj"),
        title=N_("Target modules (target_modules)"),
        summary=N_(
            "Which weight matrices get an update. Attention targets change relations; visual_projection moves image features."
        ),
        detail=N_(
            "q_proj and v_proj sit in every attention layer: adapting them changes how image patches, or words, relate to "
            "each other. The bare names match the image side and the text side; 'Towers' limits them to one. "
            "visual_projection is a single matrix at the end of the image side: it moves all image features together "
            "towards a visual domain such as sketches or paintings, and trains in seconds because everything before it "
            "can be computed once."
        ),
        source="PEFT LoraConfig.target_modules; Zanella & Ben Ayed, CVPRW 2024",
        choices=TARGET_TEXTS,
        min_length=1,
    )
    lora_dropout: float = setting(
        0.1,
        title=N_("Dropout (lora_dropout)"),
        summary=N_(
            "Share of the update's inputs switched off at random while training. Usual: 0.1 to 0.3; 0 turns it off."
        ),
        detail=N_(
            "Dropout acts on the input of A only, never on the frozen model, and only while training. It keeps the update "
            "from relying on single features, which helps when there are few drawings."
        ),
        source="PEFT LoraConfig.lora_dropout",
        ge=0,
        le=0.9,
        step=0.05,
    )
    bias: Literal["none", "all", "lora_only"] = setting(
        "none",
        title=N_("Biases (bias)"),
        summary=N_("Which bias vectors the model already has are trained too. It adds no new ones."),
        detail=N_(
            "'none' leaves every bias alone, so switching the adapter off gives exactly the base model. 'all' trains every "
            "bias of the model, 'lora_only' those of the chosen modules; then the adapter can no longer simply be switched off."
        ),
        source="PEFT LoraConfig.bias",
        choices={
            "none": N_("train no bias (recommended)"),
            "all": N_("train every bias of the model"),
            "lora_only": N_("train the biases of the target modules"),
        },
    )
    use_rslora: bool = setting(
        False,
        title=N_("Rank-stabilised scale (use_rslora)"),
        summary=N_(
            "Scales by lora_alpha / √r instead of lora_alpha / r, so that larger ranks keep learning."
        ),
        detail=N_(
            "With the usual scale a larger r shrinks each direction's share; rsLoRA keeps it stable over ranks."
        ),
        source="Kalajdzievski 2023, arXiv:2312.03732; PEFT LoraConfig.use_rslora",
        advanced=True,
    )

    @property
    def scaling(self) -> float:
        """The factor PEFT puts before B·A."""
        return self.lora_alpha / (self.r**0.5 if self.use_rslora else self.r)

    @field_validator("target_modules", mode="before")
    @classmethod
    def _split_targets(cls, value: object) -> object:
        if isinstance(value, str):
            value = [part for part in value.replace("+", ",").replace(" ", ",").split(",") if part]
        return tuple(dict.fromkeys(value)) if isinstance(value, list | tuple) else value


class DataSettings(Block):
    """How a folder becomes training data."""

    captions: Literal["auto", "metadata", "sidecar", "folder", "filename"] = setting(
        "auto",
        title=N_("Captions from"),
        summary=N_(
            "Where the words for each image come from. Automatic takes the first source that is present."
        ),
        detail=N_(
            "In order: a metadata.csv or metadata.jsonl table; a text file beside each image (NAME.txt or NAME.caption); "
            "the folder's name used as a class; the file's own name in words."
        ),
        choices={
            "auto": N_("the first that is present"),
            "metadata": N_("metadata.csv or metadata.jsonl"),
            "sidecar": N_("a text file beside each image"),
            "folder": N_("the folder's name"),
            "filename": N_("the file's name in words"),
        },
    )
    template: str = setting(
        "a drawing of {label}",
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
    sketches: str = setting(
        "",
        title=N_("Folder of sketches"),
        summary=N_(
            "Sub-folder that holds the sketches of sketch and artwork pairs. Empty: recognised by its name."
        ),
        detail=N_(
            "Files with the same name in both folders form a pair. Recognised: sketches, lineart, drawings and the like."
        ),
        advanced=True,
    )
    artworks: str = setting(
        "",
        title=N_("Folder of artworks"),
        summary=N_(
            "Sub-folder that holds the finished artworks of the pairs. Empty: recognised by its name."
        ),
        detail=N_(
            "Files with the same name in both folders form a pair. Recognised: artworks, color, photos and the like."
        ),
        advanced=True,
    )
    validation: float = setting(
        0.15,
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
        title=N_("Split seed"),
        summary=N_(
            "Number that decides which images are kept aside. Runs are only comparable with the same one."
        ),
        detail=N_(
            "It is separate from the training's seed, so that several seeds of one setting answer the same questions."
        ),
        ge=0,
        le=2**31 - 1,
        advanced=True,
    )
    image_fit: Literal["letterbox", "crop"] = setting(
        "letterbox",
        title=N_("Fit into the square"),
        summary=N_(
            "Letterbox keeps the whole drawing on its paper colour; crop cuts the sides off, as photo pipelines do."
        ),
        detail=N_(
            "CLIP sees a small square. A wide drawing loses its ends when cropped, so letterboxing is the rule here."
        ),
        choices={"letterbox": N_("keep all, fill with the paper's colour"), "crop": N_("centre crop")},
        advanced=True,
    )
    views: int = setting(
        1,
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
        title=N_("Mirror"),
        summary=N_(
            "Varied views may be mirrored. Leave it off where left and right matter (lettering, arrows)."
        ),
        advanced=True,
    )

    @field_validator("template")
    @classmethod
    def _usable_template(cls, value: str) -> str:
        try:
            value.format(label="x")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(_("only {label} may stand in braces")) from error
        return value


class ModelSettings(Block):
    """Which CLIP is adapted."""

    name: str = setting(
        "starter",
        title=N_("Model"),
        summary=N_(
            "The CLIP to adapt: the bundled starter, an added model's name, or a Hugging Face CLIP folder on disk."
        ),
        detail=N_(
            "The starter is small, understands English and Korean, and is quick on any machine. A larger CLIP knows more of "
            "the world; it needs more memory and time."
        ),
        min_length=1,
    )


class TrainSettings(Block):
    """How training goes."""

    method: Literal["lora", "layernorm"] = setting(
        "lora",
        title=N_("Method"),
        summary=N_(
            "LoRA adds low-rank updates. LayerNorm trains only the normalisation layers: a strong, tiny baseline for sketches."
        ),
        detail=N_("With 'layernorm' the LoRA settings are not used."),
        source="Sain et al. 2023, arXiv:2303.13440 (LayerNorm tuning for sketch retrieval)",
        choices={"lora": N_("low-rank updates (LoRA)"), "layernorm": N_("normalisation layers only")},
        advanced=True,
    )
    towers: Literal["both", "vision", "text"] = setting(
        "both",
        title=N_("Towers"),
        summary=N_(
            "Which side of CLIP is adapted: images, texts, or both. A side without updates costs almost nothing."
        ),
        detail=N_("Bare target names such as q_proj match both sides; this limits them."),
        choices={"both": N_("images and texts"), "vision": N_("images only"), "text": N_("texts only")},
    )
    epochs: int = setting(
        8,
        title=N_("Epochs"),
        summary=N_(
            "How often every training image is seen. Training may end earlier when checks stop improving."
        ),
        ge=1,
        le=10_000,
    )
    batch_size: int = setting(
        32,
        title=N_("Batch size"),
        summary=N_(
            "Images per step. In contrastive learning the others in the batch are the wrong answers, so more is harder and better."
        ),
        detail=N_(
            "At least 2: a batch of one has nothing to contrast with and teaches nothing. Memory grows with it; see 'Chunk size'."
        ),
        ge=2,
        le=65_536,
    )
    chunk_size: int = setting(
        0,
        title=N_("Chunk size"),
        summary=N_(
            "Encodes a large batch in chunks of this many images, with exact gradients, in the memory of one chunk. 0: all at once."
        ),
        source="Gao et al. 2021, arXiv:2101.06983 (GradCache)",
        ge=0,
        le=65_536,
        advanced=True,
    )
    learning_rate: float = setting(
        3e-4,
        title=N_("Learning rate"),
        summary=N_(
            "Size of each step. The setting that matters most: try 1e-4 to 1e-3 for attention, up to 5e-3 for projection."
        ),
        detail=N_(
            "With the learning rate tuned, LoRA variants end within one or two percent of each other: sweep it first."
        ),
        source="arXiv:2602.04998",
        gt=0,
        le=1,
    )
    schedule: Literal["cosine", "linear", "constant"] = setting(
        "cosine",
        title=N_("Schedule"),
        summary=N_("How the learning rate falls over the run."),
        choices={
            "cosine": N_("falls along half a cosine"),
            "linear": N_("falls on a straight line"),
            "constant": N_("stays"),
        },
        advanced=True,
    )
    warmup: float = setting(
        0.1,
        title=N_("Warm-up"),
        summary=N_("Share of the steps over which the learning rate rises from zero."),
        ge=0,
        le=0.9,
        step=0.05,
        advanced=True,
    )
    weight_decay: float = setting(
        0.01,
        title=N_("Weight decay"),
        summary=N_("Pulls the trained weights gently towards zero (AdamW)."),
        source="Loshchilov & Hutter 2019, arXiv:1711.05101",
        ge=0,
        le=1,
        advanced=True,
    )
    size_penalty: float = setting(
        0.0,
        title=N_("Size penalty"),
        summary=N_(
            "Penalty on the size of the whole update, λ‖ΔW‖². Keeps the model close to the base; useful with few images."
        ),
        detail=N_(
            "λ = 1/N for N training images makes projection tuning stable over learning rates. 0 turns it off."
        ),
        source="ProLIP: Fahes et al. 2024, arXiv:2410.05270",
        ge=0,
        le=10,
        advanced=True,
    )
    max_grad_norm: float = setting(
        1.0,
        title=N_("Gradient clipping"),
        summary=N_("Longest gradient that is used as it is; longer ones are shortened. 0 turns it off."),
        ge=0,
        le=1000,
        advanced=True,
    )
    temperature: Literal["model", "trained", "fixed"] = setting(
        "model",
        title=N_("Temperature"),
        summary=N_(
            "How sharply similarities are compared: the model's own value, trained along, or fixed at 100."
        ),
        detail=N_(
            "Never above 100 (ln 100 in the logarithm), which transformers' CLIPModel does not enforce by itself."
        ),
        choices={"model": N_("the model's own"), "trained": N_("trained along"), "fixed": N_("fixed at 100")},
        advanced=True,
    )
    pair_weight: float = setting(
        1.0,
        title=N_("Weight of pairs"),
        summary=N_(
            "Weight of sketch against artwork contrast beside image against caption. Only used where pairs exist."
        ),
        ge=0,
        le=10,
        step=0.1,
    )
    text_weight: float = setting(
        1.0,
        title=N_("Weight of captions"),
        summary=N_("Weight of image against caption contrast. 0 learns from pairs alone."),
        ge=0,
        le=10,
        step=0.1,
    )
    checks: int = setting(
        8,
        title=N_("Checks per run"),
        summary=N_(
            "How often retrieval is measured on the validation images during the run. The best checkpoint is chosen by it."
        ),
        ge=1,
        le=1000,
    )
    patience: int = setting(
        4,
        title=N_("Patience"),
        summary=N_("Training ends after this many checks without improvement. 0 always runs to the end."),
        ge=0,
        le=1000,
    )
    pinned: str = setting(
        "",
        title=N_("Pinned queries"),
        summary=N_(
            "Words to watch while the model learns, separated by commas. Empty: a few held-out ones are chosen."
        ),
        detail=N_(
            "At every check the validation images are ranked for these words, so that you can see the results move. "
            "They are only watched: nothing is learned from them, and they choose nothing."
        ),
        advanced=True,
    )
    choose_strength: bool = setting(
        True,
        title=N_("Choose the strength"),
        summary=N_(
            "After training, scale the update by what helps most on the validation images; 0, the base itself, is among the choices."
        ),
        detail=N_("What is handed over is then never worse than the base on the validation images."),
        source="WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903",
    )
    seed: int = setting(
        0,
        title=N_("Seed"),
        summary=N_(
            "Number that fixes every random choice: order, dropout, first values. The same seed gives the same run."
        ),
        ge=0,
        le=2**31 - 1,
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.pair_weight == 0 and self.text_weight == 0:
            raise ValueError(_("the weights of pairs and of captions cannot both be 0"))
        if self.chunk_size == 1:
            raise ValueError(_("a chunk holds at least 2 images"))
        return self


class HardwareSettings(Block):
    """Where and how the arithmetic is done."""

    device: Literal["auto", "cuda", "mps", "xpu", "cpu"] = setting(
        "auto",
        title=N_("Device"),
        summary=N_(
            "Where to compute. Automatic takes the graphics card where there is one, else the processor."
        ),
        choices={
            "auto": N_("the fastest that is present"),
            "cuda": N_("NVIDIA or AMD graphics card"),
            "mps": N_("Apple graphics"),
            "xpu": N_("Intel graphics"),
            "cpu": N_("processor"),
        },
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        title=N_("Precision"),
        summary=N_(
            "Number format while training. Half precision is faster where the device supports it; results are measured in fp32."
        ),
        choices={
            "auto": N_("what the device does best"),
            "fp32": N_("32 bits"),
            "bf16": N_("16 bits, wide range"),
            "fp16": N_("16 bits, fine steps, with loss scaling"),
        },
        advanced=True,
    )
    threads: int = setting(
        0,
        title=N_("Processor threads"),
        summary=N_("Processor threads to compute with. 0: all."),
        ge=0,
        le=1024,
        advanced=True,
    )
    cache_gb: float = setting(
        4.0,
        title=N_("Disk for the cache"),
        summary=N_("Most disk space that stored pictures and features may take; the oldest go first."),
        unit=N_("GB"),
        ge=0,
        le=4096,
        step=1,
        advanced=True,
    )


class Settings(Block):
    """Everything a run depends on besides the folder."""

    model: ModelSettings = ModelSettings()
    lora: LoraSettings = LoraSettings()
    train: TrainSettings = TrainSettings()
    data: DataSettings = DataSettings()
    hardware: HardwareSettings = HardwareSettings()


GROUP_TITLES = {
    "model": N_("Model"),
    "lora": N_("LoRA"),
    "train": N_("Training"),
    "data": N_("Collection"),
    "hardware": N_("Hardware"),
}
