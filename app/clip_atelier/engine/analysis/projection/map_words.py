"""What a map's scores say in plain words. Apart from `tsne`, so that a window can say it without loading openTSNE."""

from __future__ import annotations

from collections.abc import Mapping

from clip_atelier.engine.core import _


def reading(scores: Mapping[str, float]) -> list[str]:
    """What the scores say, in plain sentences in the user's language."""
    if scores["base/trustworthiness"] >= 0.9:
        fidelity = _(
            "Of each image's {k} nearest neighbours, the map keeps {share:.0%}; points that are near each other on it "
            "belong together as a rule (trustworthiness {trust:.2f})."
        )
    else:
        fidelity = _(
            "Of each image's {k} nearest neighbours, the map keeps {share:.0%}; do not read much into which points are "
            "near each other (trustworthiness {trust:.2f})."
        )
    said = [
        fidelity.format(
            k=round(scores["neighbours"]), share=scores["base/overlap"], trust=scores["base/trustworthiness"]
        )
    ]
    if scores.get("motion") == 0:
        said.append(
            _(
                "Nothing moved: at this strength the images' embeddings are those of the base. Parts such as learned words change "
                "what is found, not where images lie."
            )
        )
    elif "motion" in scores:
        said.append(
            _("{share:.0%} of the motion shows up in the control too, where nothing was learned.").format(
                share=scores["motion_in_control"]
            )
        )
        said.append(
            _("{share:.0%} of the points moved farther than nearly all points of the control.").format(
                share=scores["moved"]
            )
        )
        said.append(
            _("After the adaptation, images keep {share:.0%} of their {k} nearest neighbours.").format(
                share=scores["neighbours_kept"], k=round(scores["neighbours"])
            )
        )
    return said
