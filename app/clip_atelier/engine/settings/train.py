"""How training goes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from clip_atelier.engine.core import N_, _
from clip_atelier.engine.settings.declare import Block, setting
from clip_atelier.engine.settings.layer_numbers import layers_of


class TrainSettings(Block):
    """How training goes."""

    method: Literal["lora", "layernorm"] = setting(
        "lora",
        affects=("learning", "speed"),
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
        affects=("learning", "speed"),
        title=N_("Towers"),
        summary=N_(
            "Which side of CLIP is adapted: images, texts, or both. A side without updates costs almost nothing."
        ),
        detail=N_("Bare target names such as q_proj match both sides; this limits them."),
        choices={"both": N_("images and texts"), "vision": N_("images only"), "text": N_("texts only")},
    )
    last_layers: int = setting(
        0,
        affects=("learning", "speed"),
        title=N_("Last layers only"),
        summary=N_(
            "How many layers of each tower get an update, counted from its end. 0: all. Fewer are quicker and forget less."
        ),
        detail=N_(
            "The first layers of a tower see strokes and edges, the last ones what is drawn. What lies before the first adapted "
            "layer is only computed, never differentiated. The projections, which stand behind all layers, are not counted."
        ),
        source="PEFT LoraConfig.layers_to_transform",
        ge=0,
        le=64,
        advanced=True,
    )
    layers_to_transform: str = setting(
        "",
        affects=("learning", "speed"),
        title=N_("Single layers"),
        summary=N_(
            "Only these layers of each tower get an update, by number from 0, such as 0,3,7-9. Empty: all, or the last ones."
        ),
        detail=N_(
            "For studies of what each layer knows: where “Last layers only” takes the end of a tower, this takes any of its "
            "layers. A number that neither tower has is refused. The projections, which stand behind all layers, are not counted."
        ),
        source="PEFT LoraConfig.layers_to_transform",
        advanced=True,
    )
    initialization: Literal["pairs", "captions", "zero"] = setting(
        "pairs",
        affects=("learning",),
        title=N_("Start of the update"),
        summary=N_(
            "From a formula that fits the captions, from what sketch and artwork differ in, or at zero. The first two need "
            "visual_projection among the target modules."
        ),
        detail=N_(
            "'pairs': What the two drawings of a pair differ in is the technique, not the thing. With pairs to learn from, the r "
            "directions in which their embeddings differ most are halved by the first values of A and B; training goes on "
            "from there. In trials this found more artworks than training from zero, and already from eight pairs. "
            "'captions' is ridge regression from the drawings' embeddings to those of their captions, cut to rank r, as far as "
            "it helps on drawings that it was not fitted to, and not at all where it does not. "
            "'zero' is PEFT's usual start: B is zero, so nothing is changed yet."
        ),
        source="Solomonoff, Campbell & Boardman 2005, ICASSP (nuisance attribute projection); PEFT: LoraConfig.init_lora_weights",
        choices={
            "pairs": N_("from what pairs differ in"),
            "captions": N_("from a formula that fits the captions"),
            "zero": N_("at zero, as PEFT does"),
        },
        advanced=True,
    )
    epochs: int = setting(
        8,
        affects=("learning", "length"),
        title=N_("Epochs"),
        summary=N_(
            "How often every training image is seen. Training may end earlier when checks stop improving."
        ),
        ge=1,
        le=10_000,
    )
    steps: int = setting(
        0,
        affects=("learning", "length"),
        title=N_("Steps"),
        summary=N_(
            "Length of the training in steps, whatever the folder's size. 0: as many as the epochs come to."
        ),
        detail=N_(
            "A small folder has few steps in an epoch, and a few dozen steps change next to nothing. A fixed number teaches "
            "eight drawings as long as eight hundred."
        ),
        ge=0,
        le=1_000_000,
    )
    batch_size: int = setting(
        64,
        affects=(
            "learning",
            "speed",
            "length",
        ),
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
        affects=("speed",),
        title=N_("Chunk size"),
        summary=N_(
            "Encodes a large batch in chunks of this many images, with exact gradients, in the memory of one chunk. 0: all at once."
        ),
        source="Gao et al. 2021, arXiv:2101.06983 (GradCache)",
        ge=0,
        le=65_536,
        advanced=True,
    )
    gradient_checkpointing: bool = setting(
        False,
        affects=("speed",),
        title=N_("Gradient checkpointing"),
        summary=N_(
            "Keeps only what enters each trained layer and computes the rest again on the way back: exact gradients in "
            "much less memory, for up to half more time."
        ),
        detail=N_("For when a step does not fit into memory. It can be combined with 'Chunk size'."),
        source="Chen et al. 2016, arXiv:1604.06174",
        advanced=True,
    )
    learning_rate: float = setting(
        1e-3,
        affects=("learning",),
        title=N_("Learning rate"),
        summary=N_(
            "Size of each step. The setting that matters most: try 1e-4 to 1e-3, and less with small batches."
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
        affects=("learning",),
        title=N_("Schedule"),
        summary=N_("How the learning rate falls over the training."),
        choices={
            "cosine": N_("falls along half a cosine"),
            "linear": N_("falls on a straight line"),
            "constant": N_("stays"),
        },
        advanced=True,
    )
    warmup: float = setting(
        0.1,
        affects=("learning",),
        title=N_("Warm-up"),
        summary=N_("Share of the steps over which the learning rate rises from zero."),
        ge=0,
        le=0.9,
        step=0.05,
        advanced=True,
    )
    weight_decay: float = setting(
        0.01,
        affects=("learning",),
        title=N_("Weight decay"),
        summary=N_("Pulls the trained weights gently towards zero (AdamW)."),
        source="Loshchilov & Hutter 2019, arXiv:1711.05101",
        ge=0,
        le=1,
        advanced=True,
    )
    size_penalty: float = setting(
        0.0,
        affects=("learning",),
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
    preservation: float = setting(
        0.0,
        affects=("learning", "speed"),
        title=N_("Preservation"),
        summary=N_(
            "How strongly the model is held to what it said before of drawings and words that are not yours. 0: not at all."
        ),
        detail=N_(
            "At every step some drawings and words of the control set that comes with the program are embedded too, and pulled "
            "back to their first embeddings. The update then learns your hand without forgetting the rest; with it, full "
            "strength does as well as half."
        ),
        ge=0,
        le=1000,
        step=1.0,
        advanced=True,
    )
    smoothing: float = setting(
        0.0,
        affects=("learning",),
        title=N_("Smoothed targets"),
        summary=N_(
            "Share of each target that goes to captions and drawings that are alike by the untouched model. 0: only what "
            "belongs together is right."
        ),
        detail=N_(
            "“A red house” is not as wrong for a house as “a fish” is. SigLIP, whose loss judges every pair by itself, "
            "learns without it."
        ),
        source="Gao et al. 2023, arXiv:2303.17561 (SoftCLIP)",
        ge=0,
        le=0.9,
        step=0.05,
        advanced=True,
    )
    max_grad_norm: float = setting(
        1.0,
        affects=("learning",),
        title=N_("Gradient clipping"),
        summary=N_("Longest gradient that is used as it is; longer ones are shortened. 0 turns it off."),
        ge=0,
        le=1000,
        advanced=True,
    )
    temperature: Literal["model", "trained", "fixed"] = setting(
        "model",
        affects=("learning",),
        title=N_("Temperature"),
        summary=N_(
            "How sharply similarities are compared: the model's own value, trained along, or fixed at 100."
        ),
        detail=N_(
            "Never above 100 (ln 100 in the logarithm), which transformers' CLIPModel does not enforce by itself. SigLIP's "
            "own value belongs to its bias: “trained along” trains both, and “fixed” keeps both as they are."
        ),
        choices={"model": N_("the model's own"), "trained": N_("trained along"), "fixed": N_("fixed at 100")},
        advanced=True,
    )
    pair_weight: float = setting(
        1.0,
        affects=("learning",),
        title=N_("Weight of pairs"),
        summary=N_(
            "Weight of sketch against artwork contrast beside image against caption. Only used where pairs exist."
        ),
        ge=0,
        le=10,
        step=0.1,
    )
    pair_scale: float = setting(
        0.0,
        affects=("learning",),
        title=N_("Sharpness of pairs"),
        summary=N_(
            "How sharply sketches and artworks are compared while learning (1 / temperature). 0: as sharply as captions."
        ),
        ge=0,
        le=100,
        step=1.0,
        advanced=True,
    )
    text_weight: float = setting(
        1.0,
        affects=("learning",),
        title=N_("Weight of captions"),
        summary=N_("Weight of image against caption contrast. 0 learns from pairs alone."),
        ge=0,
        le=10,
        step=0.1,
    )
    checks: int = setting(
        0,
        affects=("learning",),
        title=N_("Checks per training"),
        summary=N_(
            "How often retrieval is measured on the validation images during the training, to choose the best checkpoint. 0: up to 8 times, as often as is worth the time."
        ),
        detail=N_(
            "A check embeds all validation images once. In a short training eight of them may take half as long as its steps; with 0 they take about a quarter of it at most, but there are always two."
        ),
        ge=0,
        le=1000,
    )
    patience: int = setting(
        4,
        affects=("learning",),
        title=N_("Patience"),
        summary=N_("Training ends after this many checks without improvement. 0 always runs to the end."),
        ge=0,
        le=1000,
    )
    pinned: str = setting(
        "",
        affects=("display",),
        title=N_("Pinned queries"),
        summary=N_(
            "Words to watch while the model learns, separated by commas. Empty: a few that are not learned from are chosen."
        ),
        detail=N_(
            "At every check the validation images are ranked for these words, so that you can see the results move. "
            "They are only watched: nothing is learned from them, and they choose nothing."
        ),
        advanced=True,
    )
    choose_strength: bool = setting(
        True,
        affects=("learning",),
        title=N_("Choose the strength"),
        summary=N_(
            "After training, scale the update by what helps most on the validation images; 0, the base itself, is among the choices."
        ),
        detail=N_(
            "What is handed over is then not worse than the base on the validation images, whichever way is searched."
        ),
        source="WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903",
    )
    seed: int = setting(
        0,
        affects=("learning",),
        title=N_("Seed"),
        summary=N_(
            "Number that fixes every random choice: order, dropout, first values. The same seed gives the same training."
        ),
        ge=0,
        le=2**31 - 1,
    )

    @field_validator("layers_to_transform")
    @classmethod
    def _numbers(cls, value: str) -> str:
        layers_of(value)
        return value.strip()

    @property
    def layer_numbers(self) -> frozenset[int]:
        """The single layers that are chosen, from 0; none where all or the last ones are adapted."""
        return layers_of(self.layers_to_transform)

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.pair_weight == 0 and self.text_weight == 0:
            raise ValueError(_("the weights of pairs and of captions cannot both be 0"))
        if self.chunk_size == 1:
            raise ValueError(_("a chunk holds at least 2 images"))
        if self.layers_to_transform and self.last_layers:
            raise ValueError(_("choose single layers or the last ones, not both"))
        return self
