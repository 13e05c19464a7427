"""Steps repeated from recordings end in the bits of plain steps; whatever else a recorder does, nothing comes of it.

No graphics card is needed: the recorder here notes every operation that torch is told of, backward pass included, and repeats
that list on the very tensors it was noted with, as a card does. What does not come in by the arguments is read as it was.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from prepared import prepared
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tiny
from clip_atelier.engine.core import Control, WorkError, drive
from clip_atelier.engine.models import Models, random_state
from clip_atelier.engine.models import device as devices
from clip_atelier.engine.runs import NumericPath, RunFolder, Runs
from clip_atelier.engine.settings import HardwareSettings, build
from clip_atelier.engine.training import Plan, captured, preservation, resume, run, train
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.captured import Captured
from clip_atelier.engine.training.numeric_path import hardware_of
from clip_atelier.engine.training.preservation import Preservation
from clip_atelier.engine.training.steps import TrainStep

STEPS = 20
SOME = 12


class _Noting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Any]]] = []

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self.told.append((func, args, kwargs or {}, tree_leaves(found)))
        return found


class Tape:
    """Records on the processor; what its errors and its clock are like is up to the test."""

    def __init__(self, plain: float = 2.0, repeated: float = 1.0) -> None:
        self.made = 0
        self.repeats = 0
        self._clock = itertools.cycle((plain, repeated))

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.made += 1
        with _Noting() as noted:
            result = work()

        @torch.no_grad()
        def again() -> Tensor:
            self.repeats += 1
            for func, args, kwargs, places in noted.told:
                for value, place in zip(tree_leaves(func(*args, **kwargs)), places, strict=True):
                    # A view, or what was changed in its place, is there already.
                    if isinstance(place, Tensor) and value.data_ptr() != place.data_ptr():
                        place.copy_(value)
            return result

        return again

    def seconds(self, work: Callable[[], object]) -> float:
        work()
        return next(self._clock)


class Failing(Tape):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        super().record(work)  # fails after it has changed gradients and random state
        raise self.error


class Rounding(Tape):
    """The loss comes out otherwise in its last bit."""

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        again = super().record(work)

        def rounded() -> Tensor:
            loss = again()
            return torch.nextafter(loss, loss + 1)

        return rounded


class Stale(Tape):
    """Goes on with what it was recorded with, as a recording would that looked past its arguments."""

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        assert isinstance(work, partial)
        return super().record(partial(work.func, *[buffer.clone() for buffer in work.args]))


@dataclass
class Material:
    """What trainings of one update begin with."""

    step: Callable[[], TrainStep]
    batches: Batches
    first: dict[str, Tensor]
    known: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def plainly(self, steps: int) -> dict[str, Tensor]:
        """What so many plain steps end with; taken once."""
        if steps not in self.known:
            self.known[steps], step = ended(self, None, steps)
            assert step.captured is None  # nothing records on a processor
        return self.known[steps]


def material(tmp_path_factory: pytest.TempPathFactory, model: Any, **changes: object) -> Material:
    folder = tmp_path_factory.mktemp("captured")
    values = tiny.quick(
        model, train__smoothing=0.2, train__preservation=0.5, lora__lora_dropout=0.1, **changes
    )
    ready = prepared(folder / "home", tiny.pairs(folder / "pairs"), values)
    chosen, inputs = ready.chosen, ready.inputs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preservation, "MOST", 24)
        kept = Preservation(ready.clip, ready.adapter, inputs.image_cut, 0, ready.pictures.store)
        drive(kept.prepare(Control()))
    drive(inputs.remember_base(ready.parts.train, Control()))
    return Material(
        lambda: TrainStep(ready.clip, ready.adapter, inputs, chosen.train, STEPS, kept),
        Batches.of(ready.collection.items, ready.parts.train, ready.parts.groups, chosen),
        ready.adapter.state(),
    )


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Any) -> Material:
    return material(tmp_path_factory, tiny_clip, hardware__precision="bf16")


@pytest.fixture(scope="module")
def projection(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Any) -> Material:
    return material(
        tmp_path_factory, tiny_clip, lora__target_modules="visual_projection,text_projection",
        train__temperature="trained",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured, "_WORTH", 2)


def ended(
    of: Material, recorder: Tape | None, steps: int = STEPS, scaled: bool = False
) -> tuple[dict[str, Tensor], TrainStep]:
    """What a training ends with: losses, update, moments, random state; and what took its steps.

    Its losses may be scaled as fp16 needs it, by a factor that grows.
    """
    step = of.step()
    step.scaler = torch.amp.GradScaler("cpu", init_scale=512.0, growth_interval=2, enabled=scaled)
    step.adapter.load_state(of.first)
    if recorder is not None:
        step.captured = Captured(recorder, "cpu", step.optimizer.gradients)
    torch.manual_seed(3)
    losses = []
    for part in (range(steps // 2), range(steps // 2, steps)):
        with step.computing():
            for number in part:
                step.look_ahead(of.batches, number)
                losses.append(step.step(number, of.batches.at(number)))
        with step.adapter.at(0.0), torch.no_grad():  # as between two checks
            step.clip.text(step.clip.tokens(["a red circle"]))
    found = {"losses": torch.stack(losses)} | step.adapter.state() | step.state() | random_state("cpu")
    return found, step


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.mark.parametrize("way", ["attention", "projection"])
def test_a_recorded_training_ends_in_the_same_bits(way: str, request: pytest.FixtureRequest) -> None:
    """With dropout, preservation, smoothed targets, pairs and captions that several drawings share."""
    of = request.getfixturevalue(way)
    tape = Tape()
    recorded, step = ended(of, tape)
    assert step.captured is not None
    assert step.captured.told.startswith("recorded")
    assert step.captured.count == tape.made >= 2  # of the batch and of what holds the model
    assert tape.repeats > STEPS / 2
    assert same(of.plainly(STEPS), recorded)


def test_a_scale_that_grows_is_read_anew(projection: Material) -> None:
    recorded, step = ended(projection, Tape(), scaled=True)
    assert step.captured is not None
    assert step.captured.count >= 2
    assert step.scaler.get_scale() > 512
    plain, _step = ended(projection, None, scaled=True)
    assert same(plain, recorded)


@pytest.mark.parametrize(
    ("recorder", "told"),
    [
        (lambda: Failing(RuntimeError("operation not permitted when stream is capturing")), "not permitted"),
        (lambda: Failing(torch.OutOfMemoryError("CUDA out of memory")), "out of memory"),
        (Rounding, "other bits"),
        (Stale, "other bits"),
        (lambda: Tape(1.0, 0.95), "ms plainly"),
    ],
)
def test_what_a_recorder_does_wrong_leaves_plain_steps(
    attention: Material, recorder: Callable[[], Tape], told: str
) -> None:
    plain = attention.plainly(SOME)
    tape = recorder()
    found, step = ended(attention, tape, SOME)
    assert step.captured is not None
    assert step.captured.told.startswith("plain: ")
    assert told in step.captured.told
    assert step.captured.count == 0
    made = tape.made
    step.step(SOME, attention.batches.at(SOME))
    assert tape.made == made <= 2  # not tried again
    assert same(plain, found)


class Part:
    """A part of a step so small that a test can say what it does: the gradient of weight · x, dropped out."""

    def __init__(self, recorder: Tape) -> None:
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.weight.grad = torch.zeros(3)
        self.captured = Captured(recorder, "cpu", lambda: [self.gradient])
        self.factor = 1.0
        self.failing = 0

    @property
    def gradient(self) -> Tensor:
        assert self.weight.grad is not None
        return self.weight.grad

    def work(self, x: Tensor) -> Tensor:
        loss = torch.nn.functional.dropout(x * self.weight * self.factor, 0.5).sum()
        loss.backward()
        if self.failing:
            self.failing -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss.detach()

    def do(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """By the recording, if there is one, and plainly from the same random state: loss and gradient of each must be equal."""
        self.captured.remaining = 100
        before = random_state("cpu")["cpu"]
        self.gradient.zero_()
        found = self.captured.do("part", self.work, x), self.gradient.clone()
        after = random_state("cpu")["cpu"]
        torch.set_rng_state(before)
        self.gradient.zero_()
        plain = self.work(x), self.gradient.clone()
        assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))
        assert torch.equal(after, random_state("cpu")["cpu"])
        return found


def test_a_recording_takes_the_batch_that_it_is_given_and_draws_anew() -> None:
    tape = Tape()
    part = Part(tape)
    losses = [float(part.do(torch.full((3,), float(n)))[0]) for n in range(40)]
    assert (tape.made, part.captured.count) == (1, 1)
    assert tape.repeats > 30
    assert len(set(losses)) > 20
    # What was returned before is not written over.
    first, second = (part.captured.do("part", part.work, torch.full((3,), n)) for n in (1.0, 100.0))
    assert float(first) < 20
    assert first.data_ptr() != second.data_ptr()


def test_shapes_that_do_not_come_again_are_not_recorded_and_few_are_kept() -> None:
    tape = Tape()
    part = Part(tape)
    for length in range(1, 40):
        part.do(torch.ones(length, 3))
    assert tape.made == 0
    for length in [*range(1, 20)] * 5:
        part.do(torch.ones(length, 3))
    assert tape.made == part.captured.count == captured._MOST
    part = Part(tape := Tape())
    part.captured.do("part", part.work, torch.ones(3))
    for remaining in (2, 1, 0):  # near the end nothing would be gained any more
        part.captured.remaining = remaining - 1
        part.captured.do("part", part.work, torch.ones(3))
    assert tape.made == 0


def test_a_value_that_changes_beside_the_arguments_is_noticed() -> None:
    part = Part(tape := Tape())
    for n in range(8):
        part.factor = 1.0 + n
        part.do(torch.ones(3))
    assert (tape.made, part.captured.count) == (1, 0)
    assert "other bits" in part.captured.told


def test_a_step_that_does_not_fit_beside_recordings_is_taken_without_them() -> None:
    part = Part(Tape())
    for _ in range(6):
        part.do(torch.ones(3))
    assert part.captured.count == 1
    part.failing = 1
    part.do(torch.ones(2, 3))  # of another shape, so computed plainly
    assert part.captured.count == 0
    assert "memory" in part.captured.told
    part.failing = 1
    with pytest.raises(torch.OutOfMemoryError):  # without recordings whoever asked is told
        part.captured.do("part", part.work, torch.ones(3))


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x * x.sum().item(),
        lambda x: x[x > 0].sum(),
        lambda x: torch.unique(x).sum(),
        lambda x: torch.where(torch.tensor([True, False, True]), x, x),
        lambda x: x.index_put((x > 0,), torch.zeros(())),
        lambda x: x + torch.empty(3, device="meta").copy_(x).numel(),
        lambda x: x + x.sum().to("meta").numel(),
    ],
)
def test_what_waits_for_the_device_is_not_even_recorded(waiting: Callable[[Tensor], Tensor]) -> None:
    tape = Tape()
    doing = Captured(tape, "cpu", list)
    doing.remaining = 100
    for _ in range(5):
        doing.do("part", waiting, torch.ones(3))
    assert tape.made == 0
    assert doing.told.startswith("plain: the model ")


def test_single_numbers_of_the_processor_do_not_keep_from_recording() -> None:
    """A device without values stands for a card: fused attention there takes its fills and seeds from the processor."""
    doing = Captured(tape := Tape(), "cpu", list)
    doing.remaining = 100
    for _ in range(3):
        doing.do("part", lambda x: x * torch.full((), 2.0), torch.ones(3, device="meta"))
    assert tape.made == 1


def test_only_where_it_can_be_it_is_tried(attention: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured, "recorder_of", lambda _device: Tape())
    step = attention.step()
    assert step.captured is not None
    again = step.train.model_copy(update={"gradient_checkpointing": True})
    assert TrainStep(step.clip, step.adapter, step.inputs, again, STEPS).captured is None
    monkeypatch.setattr(TrainStep, "alone", False)  # as where several processes share each step
    assert attention.step().captured is None
    monkeypatch.undo()
    monkeypatch.setattr(captured, "recorder_of", lambda _device: Tape())
    off = devices.choose(HardwareSettings(device="cpu", threads=1, graphs="off"))
    monkeypatch.setattr(step.clip, "device", replace(step.clip.device, graphs=off.graphs))
    assert attention.step().captured is None


def test_a_training_that_failed_on_a_card_goes_on_without_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "present", lambda: ("cuda", "cpu"))
    begun = NumericPath(device="cuda", precision="bf16", attention="sdpa")
    chosen = HardwareSettings()
    assert [hardware_of(chosen, begun, careful).graphs for careful in (False, True)] == ["auto", "off"]


def test_whoever_resumes_knows_whether_it_failed(
    home: Path, tiny_collection: Path, quick: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    careful: list[bool] = []

    def lost(_chosen: object, _begun: object, wanted: bool) -> None:
        careful.append(wanted)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(run, "hardware_of", lost)
    with pytest.raises(WorkError, match="illegal"):
        drive(train(Plan(tiny_collection, build(quick()), home), Models(home), Control()))
    (failed,) = Runs(home).list()
    assert failed.status == "failed"
    for status in ("failed", "interrupted", "stopped"):
        monkeypatch.setattr(RunFolder, "status", status)
        with pytest.raises(WorkError, match="illegal"):
            drive(resume(home, failed.id, Models(home), Control()))
    assert careful == [False, True, True, False]


def test_chunks_are_computed_plainly(attention: Material) -> None:
    step = attention.step()
    step.captured = Captured(tape := Tape(), "cpu", step.optimizer.gradients)
    step.chunk = 2
    for number in range(4):
        step.step(number, attention.batches.at(number))
    assert not [key for key in step.captured._came if key[0] == "batch"]
    assert tape.made <= 1


class _Card:
    """What `CudaGraphs` asks of torch, noted; a recording fails half way if that is wanted."""

    def __init__(self, failing: bool, free: int) -> None:
        self.noted: list[object] = []
        self.failing = failing
        self.mem_get_info = lambda: (free, 1000)
        self.memory_reserved = lambda: 300
        self.memory_allocated = lambda: 200
        self.max_memory_allocated = lambda: 250
        self.current_device = lambda: 0
        self.current_stream = lambda: self
        self.Stream = lambda: self
        self.graph_pool_handle = lambda: (0, 1)
        self.synchronize = lambda: self.noted.append("synchronize")
        self.wait_stream = lambda _other: None
        self.stream = lambda _stream: contextlib.nullcontext()
        self.set_stream = lambda stream: self.noted.append(("stream", stream))
        self.clone_state = lambda: "spare"
        self.graphsafe_set_state = lambda state: self.noted.append(("random", state))
        self.default_generators = [self]
        self.CUDAGraph = lambda: self
        self.replay = lambda: self.noted.append("replay")

    @contextlib.contextmanager
    def graph(self, graph: object, pool: object, stream: object, capture_error_mode: str) -> Iterator[None]:
        assert (graph, pool, stream, capture_error_mode) == (self, (0, 1), self, "thread_local")
        yield
        if self.failing:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


@pytest.mark.parametrize(("failing", "free"), [(False, 50), (True, 50), (False, 49)])
def test_a_card_is_left_as_it_was_where_it_cannot_record(
    failing: bool, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real recorder with a card that is not there: what it tells the card, above all after a failure."""
    card = _Card(failing, free)
    ended: list[object] = []
    monkeypatch.setattr(torch, "cuda", card)
    monkeypatch.setattr(
        torch._C, "_cuda_endAllocateToPool", lambda *given: ended.append(given), raising=False
    )
    monkeypatch.setattr(captured, "_FAILED", kept := [])
    recorder = captured.CudaGraphs()
    worked: list[int] = []

    def work() -> Tensor:
        worked.append(1)
        return torch.ones(())

    if free < 50:  # 49 and 100 that torch holds unused are not three times the 50 of a step
        with pytest.raises(Exception, match="too little memory"):
            recorder.record(work)
        assert not worked
    elif failing:
        with pytest.raises(RuntimeError, match="during capture"):
            recorder.record(work)
        assert card.noted == [("stream", card), ("random", "spare")]
        assert ended == [(0, (0, 1))]
        assert kept == [card]
    else:
        assert float(recorder.record(work)()) == 1
        assert card.noted == ["replay"]
        assert len(worked) == 2
        assert recorder.seconds(work) >= 0
        assert card.noted == ["replay", "synchronize", "synchronize"]
