"""The CUDA step in bfloat16 against float64 and against the plain loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masks import FusedMasks
from plain import PlainLearner

from dgex.errors import DataError
from dgex.training.learners.learner import make_learner
from dgex.training.learners.perceptron import MomentumStep, Perceptron
from dgex.training.run.checkpoint import Checkpoints
from dgex.training.run.loop import Result, train
from dgex.training.run.settings import TrainingSettings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
BF16 = 2.0**-7  # distance of two neighbours of 1 in bfloat16


def starting(sizes: list[int], seed: int = 1) -> Perceptron:
    """A network whose output layer is no longer within 1e-4, so that errors reach the layers below."""
    network = Perceptron(sizes, seed)
    with torch.no_grad():
        network.weight(-1).mul_(300)
    return network


def learner(sizes: list[int], dropout: float = 0.0, seed: int = 3) -> Any:
    from dgex.training.learners.fused import FusedStep

    return FusedStep(starting(sizes), torch.device("cuda", 0), dropout=dropout, seed=seed)


def compendium(profiles: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets that follow programmes of the landmarks, some not linearly, with noise."""
    truth, rng = np.random.default_rng(7), np.random.default_rng(seed)
    programmes = rng.normal(size=(profiles, 20))
    X = programmes @ truth.normal(size=(20, 100)) / 4 + 0.5 * rng.normal(size=(profiles, 100))
    Y = np.tanh(programmes @ truth.normal(size=(20, 300)) / 3) + programmes @ truth.normal(size=(20, 300)) / 5
    Y += 0.4 * rng.normal(size=Y.shape)
    return (X / X.std(0)).astype(np.float32), (Y / Y.std(0)).astype(np.float32)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.cpu().double() - wanted.cpu().double()).norm() / wanted.double().norm())


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [([37, 130, 75, 91], 23), ([943, 1001, 500, 1234], 200), ([60, 190, 130], 600), ([64, 70, 65], 1500)],
)
def test_steps_follow_float64(sizes: list[int], rows: int) -> None:
    """Sizes that need padding, a short batch in the middle, both ways to make a gradient; bias and momentum too."""
    ours, reference = learner(sizes), MomentumStep(starting(sizes).double())
    before = {name: value.clone() for name, value in reference.weights().items()}
    x, y = torch.zeros(rows, sizes[0], device="cuda"), torch.zeros(rows, sizes[-1], device="cuda")
    generator = torch.Generator().manual_seed(0)
    for count in (rows, rows, rows // 3, rows):
        x[:count] = torch.randn(count, sizes[0], generator=generator).cuda()
        y[:count] = torch.randn(count, sizes[-1], generator=generator).cuda()
        loss = ours.step(x[:count], y[:count], 1e-3)
        wanted = reference.step(x[:count].cpu().double(), y[:count].cpu().double(), 1e-3)
        assert float(loss) == pytest.approx(float(wanted), rel=BF16)
    for name, value in ours.weights().items():
        # The update carries the rounding of three products in bfloat16, independent over weights.
        assert relative(value.cpu() - before[name], reference.weights()[name] - before[name]) < 2 * BF16, name
        assert relative(ours.velocity()[name], reference.velocity()[name]) < 2 * BF16, name
    assert relative(ours.predict(x), reference.predict(x.cpu().double())) < 2 * BF16


@pytest.mark.parametrize("rows", [200, 1500])
def test_dropout_follows_float64_with_the_masks_that_were_drawn(rows: int) -> None:
    sizes, dropout = [50, 96, 130, 77], 0.25
    ours = learner(sizes, dropout)
    kept: list[torch.Tensor] = []
    reference = PlainLearner(starting(sizes).double(), dropout=dropout, masks=lambda layer, *_: kept[layer])
    before = {name: value.clone() for name, value in reference.weights().items()}
    x, y = torch.randn(rows, 50, device="cuda"), torch.randn(rows, 77, device="cuda")
    for _ in range(3):
        ours.step(x, y, 1e-3)
        slopes = [slope[:rows, :size].cpu() for slope, size in zip(ours._buffers.slopes, sizes[1:-1])]
        kept[:] = [(slope != 0).double() / (1 - dropout) for slope in slopes]
        for mask in kept:
            assert float((mask == 0).double().mean()) == pytest.approx(dropout, abs=5 * (0.1875 / mask.numel()) ** 0.5)
        reference.step(x.cpu().double(), y.cpu().double(), 1e-3)
    assert (kept[0][:, :70] != kept[1][:, :70]).any()
    for name, value in ours.weights().items():
        assert relative(value.cpu() - before[name], reference.weights()[name] - before[name]) < 2 * BF16, name


def test_weights_survive_the_split_into_halves() -> None:
    from dgex.training.learners.kernels import joined, split

    scale = 10.0 ** torch.randint(-30, 30, (10_000,), generator=torch.Generator().manual_seed(0))
    weight = torch.randn(10_000, generator=torch.Generator().manual_seed(1)) * scale
    high, low = split(weight)
    assert torch.equal(joined(high, low), weight)
    assert ((high.double() - weight.double()).abs() <= weight.abs().double() * BF16 / 2).all()


def run(folder: Path | None = None, *, epochs: int = 8, stop_before: int | None = None, resume: bool = False) -> Result:
    X, Y = compendium(2000)
    sets = {"near": compendium(300, 1), "far": compendium(300, 2)}
    net = make_learner([100, 64, 300], device=torch.device("cuda"), precision="bf16", dropout=0.1)
    if stop_before is not None:
        begin = net.begin_epoch

        def killed(epoch: int) -> None:
            if epoch == stop_before:
                raise SystemError("killed")
            begin(epoch)

        net.begin_epoch = killed  # type: ignore[method-assign]
    checkpoints = None if folder is None else Checkpoints(folder, {}, "data")
    settings = TrainingSettings(1e-3, epochs=epochs, batch_size=150)
    return train(net, X, Y, sets, settings, checkpoints=checkpoints, resume=resume)


def test_a_run_repeats_itself_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, again = run(), run()
    with pytest.raises(SystemError, match="killed"):
        run(tmp_path / "c", stop_before=5)
    resumed = run(tmp_path / "c", resume=True)
    for other in (again, resumed):
        for name, value in whole.last.weights.items():
            assert torch.equal(other.last.weights[name], value), name
        for key, kept in whole.best.items():
            assert other.best[key].epoch == kept.epoch
            assert all(torch.equal(other.best[key].weights[n].cpu(), w.cpu()) for n, w in kept.weights.items())


def test_validation_error_stays_within_half_a_percent_of_the_plain_loop() -> None:
    """The same data, order of batches, schedule and dropout; every tenth epoch."""
    X, Y = compendium(4000)
    sets = {"validation": compendium(1000, 1)}
    sizes, settings = [100, 192, 128, 300], TrainingSettings(5e-4, epochs=40, batch_size=100)
    curves = []
    for net in (
        make_learner(sizes, device=torch.device("cuda"), precision="bf16", dropout=0.1),
        PlainLearner(Perceptron(sizes, 0).to("cuda"), dropout=0.1, masks=FusedMasks(0.1)),
    ):
        curves.append([row["validation.error"] for row in train(net, X, Y, sets, settings).history])
    assert curves[1][-1] < 0.9 * curves[1][0]
    np.testing.assert_allclose(curves[0][9::10], curves[1][9::10], rtol=5e-3)


def test_float32_on_cuda_equals_the_plain_loop() -> None:
    X, Y = compendium(1000)
    sets = {"validation": compendium(200, 1)}
    sizes, settings = [100, 96, 64, 300], TrainingSettings(5e-4, epochs=5, batch_size=90)
    results = [
        train(net, X, Y, sets, settings)
        for net in (
            make_learner(sizes, device=torch.device("cuda"), precision="float32", dropout=0.1),
            PlainLearner(Perceptron(sizes, 0).to("cuda"), dropout=0.1),
        )
    ]
    for name, value in results[1].last.weights.items():
        assert relative(results[0].last.weights[name], value) < 1e-4, name


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    X, Y = compendium(500)
    net = make_learner([100, 64, 300], device=torch.device("cuda"), precision="bf16")
    with pytest.raises(DataError, match=r"diverged: the loss became .* in epoch \d+ with learning rate 1000"):
        train(net, X, Y, {"validation": compendium(100, 1)}, TrainingSettings(1000.0, epochs=50, batch_size=100))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_pipeline_of_blocks_predicts_every_row(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More blocks than slots, a short last one, a target array with other rows around it."""
    from dgex.training.learners import pipeline, prediction

    network = starting([30, 65, 77]).requires_grad_(False)
    predictor = prediction.Predictor(
        {name: value.numpy() for name, value in network.state_dict().items()}, torch.device("cuda"), precision
    )
    monkeypatch.setattr(pipeline.stream_through, "__defaults__", (64, 3, 4))
    X = np.random.default_rng(0).standard_normal((64 * 7 + 5, 30)).astype(np.float32)
    out = np.full((len(X) + 2, 77), np.nan, np.float32)
    predictor(X, out[1:-1])
    assert np.isnan(out[[0, -1]]).all()
    exact = network.double()(torch.from_numpy(X).double())
    assert relative(torch.from_numpy(out[1:-1]), exact) < (BF16 if precision == "bf16" else 1e-5)
