"""The residual network: blocks that add to what they were given, trained on the overall error itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from math import prod
from typing import Any, ClassVar

import numpy as np

from dgex.aliases import Sets
from dgex.errors import ModelError
from dgex.metrics import in_blocks, measured
from dgex.models.network.choices import OPEN, check, choose
from dgex.models.network.epochs import Extent, Network, run_files
from dgex.models.network.members import arrays_of, members_from, recipes_of, restored_choice, schedule_of, shape_of
from dgex.models.network.parts import history_of
from dgex.models.network.units import statistics_of
from dgex.training.learners.mean import MeanPredictor
from dgex.training.learners.residual import ResidualNetwork, Shape
from dgex.training.machine.architecture import Architecture
from dgex.training.machine.device import pick_device
from dgex.training.machine.memory import predicting
from dgex.training.processes.group import Group
from dgex.training.processes.join import join
from dgex.training.run.members import train_members
from dgex.training.run.parts import Part

__all__ = ["Residual"]


class Residual(Network):
    """Residual network: the metric as the loss, layer normalisation, AdamW, noise on the landmarks, seeds averaged.

    Settings that are None are chosen when it is fitted, by the number of training profiles (`preset="residual"`), and
    told in an attribute of their name with an underscore (`hidden_`). Genes are standardised inside, by the training
    profiles' means and deviations: values may come in any units, and predictions are in those of the target genes.

    Parameters
    ----------
    preset : str
        What is chosen where settings are None: "residual", or "taaf", the network of Kunc and Kléma (below).
    hidden : sequence of int, optional
        Units of the stem and of each block, one width as often as there are blocks: (4096, 4096, 4096). Without
        `residual`, units of each hidden layer.
    residual : bool, optional
        Add each block to its input; False lets layers follow one another. True unless told.
    units : str, optional
        "silu" unless told, "tanh", or "adaptive": a * sigmoid(b * x + c) + d with four trained numbers a unit, on the
        outputs as well.
    norm : bool, optional
        Layer normalisation before each block's matrix and before the output. True unless told.
    skip : bool, optional
        Add a linear map of the landmark genes to the outputs; up to 20,000 training profiles unless told.
    dropout : float, optional
        Share of hidden units silenced at each training step.
    noise : float, optional
        Deviation of the normal noise on standardised landmark genes while training.
    landmark_dropout : float, optional
        Share of the landmark genes that are set to their mean at each training step, for each profile anew.
    loss : str, optional
        "absolute" unless told (in standard units the overall error), or "squared".
    optimiser : str, optional
        "adamw" unless told, "nadam", or "sgd" (Nesterov's momentum, .9).
    learning_rate : float, optional
        The highest rate; 1e-3 unless told.
    schedule : str, optional
        "one-cycle" unless told: up for three tenths of the steps and down to nothing, along a cosine; "steps": to a
        fifth at 2/3, 19/24, 11/12 and 23/24 of the epochs; or "constant".
    weight_decay : float, optional
        Share of each matrix taken away at a step of rate 1 (decoupled).
    batch_size : int, optional
        Profiles a step.
    epochs : int, optional
        Passes over the training profiles. The schedule spans them, so a run goes on with as many as it began with.
    patience : int, optional
        Stop when the first evaluation set has not improved for as many epochs. Under a one-cycle rate most is gained
        in the last epochs, so None trains all.
    ensemble : int
        Networks, of seeds `seed`, `seed` + 1, …, whose mean predicts.
    averaging : str, optional
        What predicts: the weights ("off", unless told), their mean that forgets what is older than a twentieth of the
        run ("exponential"), or their mean over its last quarter ("equal").
    seed : int
        Decides starting weights, order of batches, dropout and noise.
    device : str
        "cpu", "cuda", "cuda:N", or "auto": a CUDA device where there is one.
    precision : str
        Arithmetic of the matrix products: "float32", "tf32", "bf16" (autocast), or "auto": bf16 to train large networks
        on a CUDA device, float32 else and in prediction. The output layer is never rounded to bfloat16 in prediction.
    placement : str
        Where the matrices are while it trains, as `dgex.DGEX` takes it.

    Attributes
    ----------
    history_ : DataFrame
        One row an epoch: `epoch`, `learning_rate` (of its first step), `loss` (mean over profiles of the loss summed
        over standardised targets, with noise and dropout), `train.error`, `NAME.error` and `NAME.sd` of each evaluation
        set in the data's units, `seconds` and `profiles_per_s`. Of several networks one below the other, told apart by
        a first column `part`.
    best_ : dict
        `epoch`, `error` and `sd` of the weights kept for each evaluation set; `last` without sets. Of several networks
        each keeps its own best epoch: `epoch` is their list, `error` and `sd` are of their mean.
    members_ : list of Part
        The networks.
    stopped_ : str
        "finished", "patience", "diverged" or "interrupted" (Ctrl-C).
    precision_ : str
        The precision that training used.
    interrupted_ : bool
        Whether Ctrl-C stopped it; kept are the best epochs of the first network, or the networks that were finished.

    Notes
    -----
    With z the standardised landmark genes, h = S z + s; h <- h + drop(silu(W norm(h) + b)) for every block; and y =
    V norm(h) + v (+ K z with a skip), in standard units. `fit` takes `checkpoint_dir`, `checkpoint_every`, `resume`,
    `history_path` and `tensorboard_dir` as `dgex.DGEX` does; of several networks each has a folder `part-K` there. The
    processes that torchrun starts share each batch.

    The preset "taaf" is three layers of 3,000 adaptive units, dropout .25, the absolute error, Nadam at 5e-4, batches
    of 64, and 600 epochs with the rate falling at 400, 475, 550 and 575. Ours, where we know no number of theirs: the
    rate falls to a fifth, and units start as 4 sigmoid(x) - 2.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun. Identity mappings in deep residual networks. ECCV 2016.
    L. N. Smith. A disciplined approach to neural network hyper-parameters. arXiv 1803.09820 (2018): the one-cycle rate.
    I. Loshchilov, F. Hutter. Decoupled weight decay regularization. ICLR 2019: AdamW.
    V. Kunc, J. Kléma. On transformative adaptive activation functions in neural networks for gene expression inference.
    PLoS ONE 16 (2021) e0243915.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(8, 2, size=(300, 5))
    >>> Y = np.tanh(X @ rng.normal(size=(5, 8)))
    >>> held_out = {"validation": (X[200:], Y[200:])}
    >>> model = Residual(hidden=(16, 16), epochs=3, device="cpu").fit(X[:200], Y[:200], held_out)
    >>> model.predict(X[:3]).shape, model.dropout_
    ((3, 8), 0.3)
    """

    kind: ClassVar[str] = "residual"
    label: ClassVar[str] = "residual network"
    spreads: ClassVar[bool] = True
    fit_options: ClassVar[tuple[str, ...]] = (*Network.fit_options, "group")
    elsewhere: ClassVar[tuple[str, ...]] = ("device", "placement")

    def __init__(
        self,
        preset: str = "residual",
        hidden: Sequence[int] | int | None = None,
        residual: bool | None = None,
        units: str | None = None,
        norm: bool | None = None,
        skip: bool | None = None,
        dropout: float | None = None,
        noise: float | None = None,
        landmark_dropout: float | None = None,
        loss: str | None = None,
        optimiser: str | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        weight_decay: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        ensemble: int = 1,
        averaging: str | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        placement: str = "auto",
    ) -> None:
        self.preset = preset
        self.hidden = hidden
        self.residual = residual
        self.units = units
        self.norm = norm
        self.skip = skip
        self.dropout = dropout
        self.noise = noise
        self.landmark_dropout = landmark_dropout
        self.loss = loss
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.ensemble = ensemble
        self.averaging = averaging
        self.seed = seed
        self.device = device
        self.precision = precision
        self.placement = placement

    # ---- the hooks of Estimator

    def check_settings(self) -> None:
        check(self)
        schedule_of(self, choose(self, 2))
        pick_device(self.device)

    def _fit(
        self, X: np.ndarray, Y: np.ndarray, eval_sets: Sets, *, group: Group | None = None, **options: Any
    ) -> None:
        began = time.perf_counter()
        files, chosen = run_files(options), choose(self, len(X))
        with join(self.device) if group is None else nullcontext(group) as together:
            device = together.device or pick_device(self.device)
            statistics = together.from_first(lambda: statistics_of(X, Y, device))
            recipes = recipes_of(self, chosen, statistics, X.shape, Y.shape[1])
            members = train_members(recipes, X, Y, eval_sets, files, together)
            self._keep(chosen, statistics, members)
            if not together.leads:
                return
        self.metrics_["sets"] = {name: self._measured(name, *pair) for name, pair in eval_sets.items()}
        if len(members) > 1:
            for name, found in self.metrics_["sets"].items():
                self.best_[name] |= {"error": found["overall"], "sd": found["sd"]}
        self.metrics_["seconds"] = round(time.perf_counter() - began, 3)

    def operations(self, profiles: int, landmarks: int, targets: int) -> float:
        chosen = choose(self, profiles)
        chain = Shape(landmarks, chosen["hidden"], targets, residual=chosen["residual"]).chain
        return float(self.ensemble * chosen["epochs"] * Architecture.chain(chain).step_operations(profiles))

    def extent(self, profiles: int, landmarks: int, targets: int) -> Extent:
        chosen = choose(self, profiles)
        sizes = ResidualNetwork.sizes(shape_of(chosen, landmarks, targets))
        return Extent(sum(map(prod, sizes.values())), int(self.ensemble), chosen["epochs"], chosen["batch_size"])

    def _arrays(self) -> dict[str, np.ndarray]:
        return arrays_of(self.members_) | self._statistics

    def _state(self) -> dict[str, Any]:
        return {
            "chosen": self._chosen,
            "best": self.best_,
            "stopped": self.stopped_,
            "precision": self.precision_,
            "history": self.history_.to_dict("records"),
            "members": [{"best": m.best, "stopped": m.stopped, "precision": m.precision} for m in self.members_],
        }

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        chosen = restored_choice(self, state["chosen"])
        statistics, members = members_from(arrays, state, self._shape(chosen))
        self._keep(chosen, statistics, members)
        self.best_ = state["best"]

    # ---- inside

    def _shape(self, chosen: dict[str, Any]) -> Shape:
        return shape_of(chosen, self.n_features_in_, self.n_targets_)

    def _keep(self, chosen: dict[str, Any], statistics: dict[str, np.ndarray], members: list[Part]) -> None:
        """Take trained networks over, and tell of the whole what they tell of themselves."""
        self.members_, self._chosen, self._statistics = members, chosen, statistics
        for name in OPEN:
            setattr(self, f"{name}_", chosen[name])
        self._predictor: tuple[tuple[str, str, str], MeanPredictor] | None = None
        self.precision_, self.history_ = members[0].precision, history_of(members)
        self.stopped_ = members[-1].stopped
        self.interrupted_ = self.stopped_ == "interrupted"
        self.best_ = members[0].best
        if len(members) > 1:
            empty = {"error": None, "sd": None}
            self.best_ = {n: {"epoch": [m.best[n]["epoch"] for m in members], **empty} for n in members[0].best}

    def _measured(self, name: str, X: np.ndarray, Y: np.ndarray) -> dict[str, Any]:
        """Errors on an evaluation set of what predicts by default."""
        first = next(iter(self.best_))
        if len(self.members_) == 1 and name == first:
            found = self.best_[name]
            return {"overall": found["error"], "sd": found["sd"], "profiles": len(X)}
        errors = measured(in_blocks(self._predict, X, Y, 4096), Y.shape[1])
        return {"overall": float(errors.overall), "sd": float(errors.overall_std), "profiles": len(X)}

    def _forward(self, X: np.ndarray, best: str) -> np.ndarray:
        with predicting(pick_device(self.device)):
            return self._predicting(best)(X)

    def _predicting(self, best: str) -> MeanPredictor:
        device = pick_device(self.device)
        key = (best, str(device), self.precision)
        if self._predictor is None or self._predictor[0] != key:
            self._predictor = None  # one at a time: large networks are gigabytes
            weights = [member.weights[member.best[best]["epoch"]] for member in self.members_]
            if not all(weights):
                raise ModelError("this process took part in training, but rank 0 holds the model: save it there")
            made = MeanPredictor(self._shape(self._chosen), weights, self._statistics, device, self.precision)
            self._predictor = key, made
        return self._predictor[1]

    def gradients(self, X: np.ndarray, target: int) -> np.ndarray:
        return self._predicting(next(iter(self.best_))).gradients(X, target)
