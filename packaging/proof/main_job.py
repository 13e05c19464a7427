"""The main job of an installed program, done with mouse and keyboard: the tour on the sample, another training, searches.

Nothing inside the program is called. It is found by what it shows, worked on through the X server, and judged by what
it shows and by the files it leaves in its user's home.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from proof.root import DATA
from proof.screen import Seen, wait_for
from proof.sitting import Sitting

_LONG = 1800.0  # seconds for a training on a busy machine
_QUERIES = ("cherry blossom", "벚꽃")
_FIRST = 5  # results whose names go into the report
_TITLES = {
    "text_to_image": "Words → image",
    "image_to_text": "Image → words",
    "sketch_to_artwork": "Sketch → artwork",
    "artwork_to_sketch": "Artwork → sketch",
}
_VERDICTS = {
    "gain": "helped",
    "loss": "made it worse",
    "no measurable difference": "no difference found",
}


def do(now: Sitting, presets: tuple[str, ...]) -> dict[str, Any]:
    """All of it; returns what was seen and measured.

    Raises:
        SystemExit: something did not come in time.
        AssertionError: something is not as it must be.
    """
    said, screen, began = now.say, now.screen, time.monotonic()
    facts: dict[str, Any] = {}
    screen.click(said("Show me around"))
    screen.click(said("Open the sample"), "push button")
    facts["the tour"] = _train(now, said("Train"), "tour")
    facts["small pictures"] = _small_pictures(now)
    for preset in presets:
        screen.click(said("Settings"))
        screen.click(said(preset.capitalize()))
        screen.picture(now.file(f"settings-{preset}"))
        facts[preset] = _train(now, said("Train with these settings"), preset)
    screen.click(said("Search with it"), "push button")
    facts["search"] = {words: _search(now, words) for words in _QUERIES}
    facts["seconds"] = round(time.monotonic() - began)
    return facts


def _small_pictures(now: Sitting) -> int:
    """Goes to the drawings and waits until every small picture on the screen is drawn; how many that are."""
    now.screen.click(now.say("Collection"))

    def drawn() -> int:
        tiles = _whole_tiles(now.screen.all())
        picture = now.screen.look()
        sheets = [picture.crop((x + 8, y + 8, x + w - 8, y + w - 8)) for x, y, w, _h in tiles]
        # A sheet whose drawing has not come yet has one colour; a drawing has many.
        rich = [len(sheet.getcolors(sheet.width * sheet.height)) > 8 for sheet in sheets]
        return len(rich) if all(rich) else 0

    count: int = wait_for(drawn, "the small pictures")
    now.screen.picture(now.file("collection"))
    return count


def _whole_tiles(everything: list[Seen]) -> list[tuple[int, int, int, int]]:
    """The boxes of the list's items that are not cut off at its lower edge."""
    frame = next((s.box for s in everything if s.role == "list"), (0, 0, 0, 0))
    bottom = frame[1] + frame[3]
    return [s.box for s in everything if s.role == "list item" and s.box[1] + s.box[3] <= bottom]


def _train(now: Sitting, button: str, name: str) -> dict[str, Any]:
    """Presses the button, waits for the files of the end, and reads the answers that are shown."""
    said, screen, began = now.say, now.screen, time.monotonic()
    before = _runs(now)
    screen.click(button, "push button")
    screen.find(said("Stop"), "push button")
    (run,) = wait_for(lambda: _runs(now) - before, "the new run's folder")
    screen.picture(now.file(f"training-{name}"), still=False)
    wait_for(lambda: _ended(run), "the end of the training", _LONG)
    screen.find(said("Search with it"), "push button")
    screen.picture(now.file(f"result-{name}"))
    return {**_judge(now, name, run), "seconds": round(time.monotonic() - began)}


def _runs(now: Sitting) -> set[Path]:
    return {file.parent for file in now.root.at(f"{DATA}/runs").glob("*/run.json")}


def _ended(run: Path) -> bool:
    """Whether the run's last event is that it is over; it is written after all other files."""
    lines = (run / "events.jsonl").read_bytes().splitlines()
    try:
        last = json.loads(lines[-1])
    except (IndexError, ValueError):  # the line is being written
        return False
    return bool(last["kind"] == "finished")


def _judge(now: Sitting, name: str, run: Path) -> dict[str, Any]:
    """The run's files say it is done, with base and adapted for each question and a verdict; the window says the same."""
    result = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    settings = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]
    assert result["status"] == "done", result["status"]
    assert result["base_untouched"] is True
    assert result["base"].keys() == result["adapted"].keys() == result["difference"].keys()
    assert ("visual_projection" in settings["lora.target_modules"]) is (name != "attention"), settings
    assert (run / "adapter" / "adapter_model.safetensors").stat().st_size > 0
    names = [s.name for s in now.screen.all() if s.role == "label"]
    measure = result["primary_metric"].rpartition("/")[2] if result["folds"] else "R@1"
    head = now.say("Base → adapted")
    assert head in names, f"the window shows no answers: {names}"
    answers, shown = names[names.index(head) :], {}
    for task, question in result["questions"].items():
        title, change = now.say(_TITLES[task]), result["difference"][f"{task}/{measure}"]
        assert title in answers, f"the window shows no answer to “{title}”: {answers}"
        at = answers.index(title)
        before, after = (result[side][f"{task}/{measure}"] for side in ("base", "adapted"))
        expected = [
            f"{before:.3f} → {after:.3f}",
            " ".join(_signed(change[part]) if part else "…" for part in ("value", "low", "", "high")),
            now.say(_VERDICTS[question["verdict"]]),
        ]  # fmt: skip
        row = [one.replace("(", "").replace(")", "") for one in answers[at + 3 : at + 6]]
        assert row == expected, f"the window shows {row}, the run says {expected}"
        shown[task] = expected
    assert shown, "the run answers no question"
    return {"run": run.name, "steps": result["steps"], "measure": measure, "the window says": shown}


def _signed(value: float) -> str:
    """A difference as the window writes it."""
    return f"{value:+.3f}" if round(value, 3) else "0.000"


def _search(now: Sitting, words: str) -> dict[str, Any]:
    """Types a query and presses Enter; the names of the first results of both models."""
    screen, field = now.screen, now.say("Search by words")
    before = _results(now)
    screen.click(field, "text")
    screen.press("ctrl+a")
    screen.type(words)
    wait_for(lambda: screen.written(field) == words, f"the field to hold “{words}”")
    screen.press("Return")

    def answered() -> list[list[str]]:
        found = _results(now)
        searching = screen.shows(now.say("Searching…"))
        return found if not searching and len(found) == 2 and all(found) and found != before else []

    base, adapted = wait_for(answered, f"the pictures for “{words}”")
    screen.picture(now.file("search-" + words.replace(" ", "-")))
    return {"pictures": len(base), "base": base[:_FIRST], "adapted": adapted[:_FIRST]}


def _results(now: Sitting) -> list[list[str]]:
    """The names in each list that is shown, from the first on."""
    lists: list[list[str]] = []
    for seen in now.screen.all():
        if seen.role == "list":
            lists.append([])
        elif seen.role == "list item" and lists:
            lists[-1].append(seen.name)
    return lists
