"""The update's own settings. They carry PEFT's names and pass to `LoraConfig` as they are."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import field_validator

from clip_atelier.engine.core import N_
from clip_atelier.engine.settings.declare import Block, setting

Target = Literal[
    "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "visual_projection", "text_projection"
]

TAKEN_AWAY: Final = 0.5
"""How much of each direction in which pairs differ the start of an update takes away. From 0.3 to 0.5 trials found as many
artworks; all of it, as in the method's source, cost words."""

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
        affects=("learning",),
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
        affects=("learning",),
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
        affects=(
            "learning",
            "speed",
        ),
        title=N_("Target modules (target_modules)"),
        summary=N_(
            "Which weight matrices get an update. Attention targets change relations; visual_projection moves image features."
        ),
        detail=N_(
            "q_proj and v_proj sit in every attention layer: adapting them changes how image patches, or words, relate to "
            "each other. The bare names match the image side and the text side; 'Towers' limits them to one. "
            "visual_projection is a single matrix at the end of the image side: it moves all image features together "
            "towards a visual domain such as sketches or paintings, and trains in seconds because everything before it "
            "can be computed once. The names are CLIP's: in other models they stand for the matrices that do the same. "
            "SigLIP has no such last matrix; one that starts by changing nothing is put there."
        ),
        source="PEFT LoraConfig.target_modules; Zanella & Ben Ayed, CVPRW 2024",
        choices=TARGET_TEXTS,
        min_length=1,
    )
    lora_dropout: float = setting(
        0.1,
        affects=("learning",),
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
        affects=("learning",),
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
        affects=("learning",),
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

    use_dora: bool = setting(
        False,
        affects=(
            "learning",
            "speed",
        ),
        title=N_("Length and direction apart (use_dora)"),
        summary=N_(
            "DoRA: learns the length of each row of a matrix beside the low-rank change of its direction. Slower; may do better "
            "at small ranks."
        ),
        detail=N_(
            "A row w of a matrix becomes m · (w + Δw) / ‖w + Δw‖: Δw is LoRA's part of rank r, m is one trained number a row that "
            "starts as ‖w‖. It comes closer to training the whole matrix where r is small. Every step computes the lengths of "
            "all rows anew, by PEFT's own and slower way."
        ),
        source="Liu et al. 2024, arXiv:2402.09353; PEFT LoraConfig.use_dora",
        advanced=True,
    )

    @property
    def peft_arguments(self) -> dict[str, Any]:
        """What `LoraConfig` is given. Where the update starts is not PEFT's to know: it lies in the first weights."""
        values = self.model_dump()
        # PEFT documents an int; keep one where the value is one so that the saved file looks like everybody's.
        if float(self.lora_alpha).is_integer():
            values["lora_alpha"] = int(self.lora_alpha)
        return values

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
