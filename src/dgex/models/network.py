"""The paper's multi-task network (D-GEX): all target genes from shared tanh hidden layers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from dgex.errors import ModelError, SettingsError
from dgex.models.base import Estimator, Matrix
from dgex.training.ceiling import floor_seconds, measured_ceiling, worth_measuring
from dgex.training.checkpoint import Checkpoints, data_digest
from dgex.training.device import pick_device
from dgex.training.distributed import Group, join
from dgex.training.learner import make_learner
from dgex.training.loop import Result, TrainingSettings, train
from dgex.training.memory import Needs, choose_placement, predicting
from dgex.training.prediction import Predictor
from dgex.training.sharded import divided
from dgex.training.streams import PLACEMENTS
from dgex.training.tuning import Arithmetic, check_precision, using_threads

__all__ = ["DGEX"]

# What may change when a run is resumed: how long and where, not what is learned.
_NOT_IDENTITY = {"epochs", "device", "patience", "placement", "shard"}
Weights = dict[str, np.ndarray]


class DGEX(Estimator):
    """Multi-task network of Chen et al. 2016: tanh hidden layers, linear outputs, all targets at once.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer. The paper's grid is 3000, 6000 and 9000 units in 1, 2 and 3 layers; the
        default is its smallest network, the one that trains on a laptop.
    dropout : float
        Share of hidden units silenced at each training step (the paper tries 0, 0.1 and 0.25). The others are
        scaled up by 1 / (1 - dropout), so that prediction needs no correction.
    learning_rate : float, optional
        Rate of the first layer's weights and of all biases. None is the paper's rule: 5e-4 with one hidden
        layer, 3e-4 with more.
    epochs : int
        Passes over the training profiles.
    batch_size : int
        Profiles a step; the last step of an epoch takes what remains.
    momentum : float
        Share of the last move that is carried into the next.
    rate_scale : float
        Factor on the rate for the weights of every layer but the first.
    rate_decay : float
        Factor on the rate whenever the error on the fixed training samples rises from one epoch to the next.
    min_rate : float
        The rate does not fall below it.
    monitor_samples : int
        Number of the fixed training samples, drawn once; all where there are fewer.
    patience : int, optional
        Stop when the first evaluation set has not improved for as many epochs. None trains all epochs, as the
        paper does.
    seed : int
        Decides starting weights, order of batches, dropout and the fixed training samples.
    device : str
        "cpu", "cuda", "cuda:N", or "auto": a CUDA device where there is one.
    precision : str
        Arithmetic of the matrix products in training and prediction: "float32", "tf32" (float32 whose factors a
        CUDA device rounds to 10 bits) or "bf16" (factors of 8 bits, sums in float32; weights, momentum and all else
        stay float32). "auto" is float32 for small networks; for large ones bf16 on a CUDA device, and on a CPU whose
        processor has instructions for it (AMX, AVX512-BF16) where a short trial finds it faster and as accurate.
    shard : bool, optional
        Over several processes (torchrun): True divides the units of every layer among them, False the profiles of
        every batch. None divides the profiles unless the network would not fit a CUDA device.
    placement : str
        Where the matrices are while it trains: on the "device"; in host "memory", from where each batch is moved
        while the step before runs (the same batches, so the same result); on "disk", from where they are read in
        blocks of consecutive profiles, in another order of batches (see `dgex.training.streams.FromDisk`). "auto"
        takes the first that has room; disk only where a memory map is larger than the host's memory.

    Attributes
    ----------
    history_ : DataFrame
        One row an epoch: `epoch`, `learning_rate`, `loss` (mean over profiles of the squared error summed
        over targets, with dropout, during the epoch), `train.error` (overall error on the fixed training
        samples after it), `NAME.error` and `NAME.sd` of each evaluation set, `seconds`, and of the learning
        alone `profiles_per_s` and `share_of_ceiling` (shortest possible time, by the rates measured on this device,
        over the time it took; only where steps are long enough to mean anything).
    best_ : dict
        `epoch`, `error` and `sd` of the weights kept for each evaluation set; `last` without sets.
    stopped_ : str
        "finished", "patience", "interrupted" (Ctrl-C) or "diverged".
    precision_ : str
        The precision that training used.
    interrupted_ : bool
        Whether the run was stopped by Ctrl-C; what is kept are the best epochs until then.

    Notes
    -----
    `fit` takes these options besides X, Y and `eval_sets`:

    checkpoint_dir : path
        Folder for the state after an epoch. A run killed at any moment goes on from it with `resume=True`, on
        the CPU to the same weights bit for bit.
    checkpoint_every : int
        Epochs from one checkpoint to the next (1 without it); large networks write gigabytes each time.
    resume : bool
        Go on from `checkpoint_dir`. More epochs than before may be asked for, other settings may not.
    history_path : path
        The learning curve as JSON lines, one flushed each epoch.
    tensorboard_dir : path
        The same numbers as TensorBoard scalars; needs the extra `[tensorboard]`.
    group : dgex.training.distributed.Group
        The processes that train together. None asks torchrun: all the processes it started, each of which calls
        `fit` with the same data and settings. `ALONE` trains in this process only.

    Over several processes the batches stay as they are, and so does the result, to rounding. Rank 0 alone writes files
    and holds the fitted weights: save there, and load elsewhere what was saved.

    The best epoch is kept for every evaluation set separately, as the paper selects one model on GEO-va for
    GEO-te and another on 1000G-va for GTEx-te: `predict(X, best="1000G-va")`. The first set is the default.

    Method: the paper's section on D-GEX. Where its text leaves a choice open, this follows what the authors'
    published scripts and the pylearn2 library under them do:

    - The cost is the squared error summed over the targets of the network and averaged over the batch, without
      a factor 1/2; the rates above belong to this cost. The error signal in the hidden layers therefore grows
      with the number of targets: all 9,520 at once send back twice the signal of the paper's halves of 4,760,
      and far fewer targets learn slowly at the same rate.
    - Momentum is the classical kind (not Nesterov's) with the rate inside the velocity:
      v <- m v - rate g, w <- w + v. `torch.optim.SGD` multiplies the whole buffer by the newest rate instead;
      the two differ only after the rate has changed.
    - The factor 3 on later layers' weights, the output layer's start within 1e-4 and the lower rate
      of deeper networks are in the scripts. Biases start at zero and take the plain rate.
    - The 5,000 training samples are compared with the previous epoch, not with the best one, by their mean
      absolute error without dropout. The rate falls after the epoch that got worse.
    - Dropout acts on hidden units only, independently for every profile.
    - A shorter last batch is averaged over its own profiles and takes the full rate.

    The rates leave little room: on 8,123 standardised targets and batches of 200, 5e-4 learns well and 1e-3
    diverges in the first epochs; smaller batches want smaller rates. With about a thousand training profiles
    expect the error of a well-tuned ridge regression and no more (the best epoch then comes near the hundredth;
    `patience=20` ends such a run early): the paper's gain over linear methods was measured with 88,807.

    The scripts differ from this in what cannot matter to the method: other random streams, the rate rounded
    to float32, and two networks of 4,760 targets where this trains one.

    References
    ----------
    Y. Chen, Y. Li, R. Narayan, A. Subramanian, X. Xie. Gene expression inference with deep learning.
    Bioinformatics 32 (2016) 1832-1839.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 5))
    >>> Y = np.tanh(X @ rng.normal(size=(5, 8)))
    >>> held_out = {"validation": (X[200:], Y[200:])}
    >>> model = DGEX(hidden=(20,), learning_rate=0.02, batch_size=20, epochs=5).fit(X[:200], Y[:200], held_out)
    >>> model.predict(X[:3]).shape
    (3, 8)
    """

    kind: ClassVar[str] = "dgex"
    label: ClassVar[str] = "D-GEX"

    def __init__(
        self,
        hidden: Sequence[int] | int = (3000,),
        dropout: float = 0.1,
        learning_rate: float | None = None,
        epochs: int = 200,
        batch_size: int = 200,
        momentum: float = 0.5,
        rate_scale: float = 3.0,
        rate_decay: float = 0.9,
        min_rate: float = 1e-5,
        monitor_samples: int = 5000,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        shard: bool | None = None,
        placement: str = "auto",
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.momentum = momentum
        self.rate_scale = rate_scale
        self.rate_decay = rate_decay
        self.min_rate = min_rate
        self.monitor_samples = monitor_samples
        self.patience = patience
        self.seed = seed
        self.device = device
        self.precision = precision
        self.shard = shard
        self.placement = placement

    def predict(self, X: Matrix, best: str | None = None) -> np.ndarray:
        """Infer the target genes, in blocks.

        Parameters
        ----------
        X : array, DataFrame or AnnData, shape (profiles, landmarks)
            As for every estimator.
        best : str, optional
            The evaluation set whose best epoch predicts; None is the first one.

        Returns
        -------
        ndarray of float32, shape (profiles, targets)

        Raises
        ------
        SettingsError
            No best epoch was kept under that name.
        ModelError, GeneError, DataError
            As for every estimator.
        """
        if best is None:
            return super().predict(X)
        if not hasattr(self, "best_"):
            raise ModelError(f"this {type(self).__name__} is not fitted; call fit or load a model folder")
        if best not in self.best_:
            raise SettingsError(f"best: found {best!r}, accepted {', '.join(self.best_)}")
        return self._forward(self._aligned(X, "landmark", "X"), self.best_[best]["epoch"])

    # ---- the hooks of Estimator

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        eval_sets: dict[str, tuple[np.ndarray, np.ndarray]],
        *,
        group: Group | None = None,
        **options: Any,
    ) -> None:
        with join(self.device) if group is None else nullcontext(group) as together:
            self._fit_together(X, Y, eval_sets, together, **options)

    def _fit_together(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        eval_sets: dict[str, tuple[np.ndarray, np.ndarray]],
        group: Group,
        *,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        resume: bool = False,
        history_path: str | os.PathLike[str] | None = None,
        tensorboard_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        began = time.perf_counter()
        hidden, settings, device = self._checked()
        if resume and checkpoint_dir is None:
            raise SettingsError("resume: found True without checkpoint_dir, the folder to go on from")
        identity = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_IDENTITY}
        identity |= {"hidden": hidden, "learning_rate": settings.learning_rate}
        digest = data_digest(X, Y, eval_sets) if checkpoint_dir is not None or group.size > 1 else ""
        kept = {"checkpoints": checkpoint_dir is not None and checkpoint_every, "resume": resume}
        how = {"epochs": self.epochs, "patience": self.patience, "shard": self.shard, **kept}
        group.agree({"the data": digest[:12], **identity, **how})
        device = group.device or device
        sizes = [X.shape[1], *hidden, Y.shape[1]]
        group = divided(group, sizes, settings.batch_size, self.shard)
        needs = Needs(tuple(sizes), min(self.batch_size, len(X)))
        if group.divides == "profiles":
            needs.require(device)
        matrices = [X, Y, *(matrix for pair in eval_sets.values() for matrix in pair)]
        placement = choose_placement(self.placement, matrices, device, needs)
        identity["order"] = "blocks (placement disk)" if placement == "disk" else "whole"
        checkpoints = None
        if checkpoint_dir is not None:
            checkpoints = Checkpoints(checkpoint_dir, identity, digest, checkpoint_every, group)
        chosen = group.from_first(lambda: self._arithmetic(device, sizes, checkpoints if resume else None))
        if checkpoints is not None:
            checkpoints.arithmetic = chosen.record()
        own = {name: getattr(self, name) for name in ("momentum", "dropout", "rate_scale", "seed")}
        files: dict[str, Any] = {"history_path": history_path, "checkpoints": checkpoints, "resume": resume}
        files["tensorboard_dir"] = tensorboard_dir
        with needs.watched(device), using_threads(chosen.threads):
            learner = make_learner(sizes, device=device, precision=chosen.precision, group=group, **own)
            floor = self._floor(needs, chosen.precision, learner.device)
            result = train(learner, X, Y, eval_sets, settings, placement=placement, floor=floor, group=group, **files)
        self.precision_ = chosen.precision
        self._keep(result, {name: len(x) for name, (x, _) in eval_sets.items()})
        self.metrics_["seconds"] = round(time.perf_counter() - began, 3)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return self._forward(X, self._default_epoch())

    def _arrays(self) -> dict[str, np.ndarray]:
        default = self._default_epoch()
        return {
            name if epoch == default else f"epoch-{epoch}.{name}": value
            for epoch, weights in self.weights_.items()
            for name, value in weights.items()
        }

    def _state(self) -> dict[str, Any]:
        state = {"best": self.best_, "stopped": self.stopped_, "precision": self.precision_}
        return state | {"history": self.history_.to_dict("records")}

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        self.best_, self.stopped_ = state["best"], state["stopped"]
        self.interrupted_ = self.stopped_ == "interrupted"
        self.precision_ = state.get("precision", "float32")  # not recorded before there was a choice
        self.history_ = pd.DataFrame(state["history"])
        default = self._default_epoch()
        self.weights_: dict[int, Weights] = {}
        for epoch in {entry["epoch"] for entry in self.best_.values()}:
            prefix = "" if epoch == default else f"epoch-{epoch}."
            names = [name for name in arrays if name.startswith(f"{prefix}layers.")]
            self.weights_[epoch] = {name.removeprefix(prefix): arrays[name] for name in names}
        self._predictors: dict[tuple[int, str, str], Predictor] = {}
        for weights in self.weights_.values():
            _check_shapes(weights, self.n_features_in_, self.n_targets_)

    # ---- inside

    def _arithmetic(self, device: torch.device, sizes: list[int], resumed: Checkpoints | None) -> Arithmetic:
        """What to compute with: as the checkpoint that the run goes on from, or as suits the machine."""
        recorded = None if resumed is None else resumed.recorded_arithmetic()
        return Arithmetic.choose(self.precision, device, sizes, self.batch_size, recorded)

    def _floor(self, needs: Needs, precision: str, device: torch.device) -> float | None:
        """Shortest possible seconds a step on this device, where a step is long enough to ask."""
        if not worth_measuring(needs.sizes, needs.batch_size):
            return None
        try:
            ceiling = measured_ceiling(device, precision, torch.get_num_threads())
        except torch.cuda.OutOfMemoryError:  # a GPU that has just room for the network
            return None
        return floor_seconds(needs.sizes, needs.batch_size, precision, ceiling, device.type)

    def _check_settings(self) -> None:
        self._checked()

    def _checked(self) -> tuple[list[int], TrainingSettings, torch.device]:
        hidden = _layers(self.hidden)
        for name, value in {"dropout": self.dropout, "momentum": self.momentum}.items():
            if not 0 <= value < 1:
                raise SettingsError(f"{name}: found {value}, accepted 0 or more, below 1")
        if not self.rate_scale > 0:
            raise SettingsError(f"rate_scale: found {self.rate_scale}, accepted a number above 0")
        check_precision(self.precision)
        if self.placement != "auto" and self.placement not in PLACEMENTS:
            raise SettingsError(f"placement: found {self.placement!r}, accepted auto, {', '.join(PLACEMENTS)}")
        rate = self.learning_rate
        settings = TrainingSettings(
            learning_rate=(5e-4 if len(hidden) == 1 else 3e-4) if rate is None else rate,
            **{f.name: getattr(self, f.name) for f in fields(TrainingSettings) if f.name != "learning_rate"},
        )
        return hidden, settings, pick_device(self.device)

    def _keep(self, result: Result, profiles: dict[str, int]) -> None:
        """Take the result over as numpy arrays on the CPU, one copy of each distinct epoch."""
        kept = result.best or {"last": result.last}
        self.best_ = {n: {"epoch": k.epoch, "error": k.error, "sd": k.sd} for n, k in kept.items()}
        if not result.best:
            self.best_["last"] |= {"error": None, "sd": None}
        self.weights_ = {
            k.epoch: {name: value.cpu().numpy() for name, value in k.weights.items()} for k in kept.values()
        }
        self._predictors = {}
        self.stopped_, self.interrupted_ = result.stopped, result.interrupted
        self.history_ = pd.DataFrame(result.history)
        row = result.history[self._default_epoch() - 1]
        self.metrics_["sets"] = {  # of the weights that predict by default
            name: {"overall": row[f"{name}.error"], "sd": row[f"{name}.sd"], "profiles": count}
            for name, count in profiles.items()
        }

    def _default_epoch(self) -> int:
        return next(iter(self.best_.values()))["epoch"]

    def _forward(self, X: np.ndarray, epoch: int) -> np.ndarray:
        """Predict with the weights of `epoch`; what predicts is kept for the next block."""
        device = pick_device(self.device)
        key = (epoch, str(device), self.precision)
        with predicting(device):
            if key not in self._predictors:
                if not self.weights_[epoch]:
                    raise ModelError("this process took part in training, but rank 0 holds the model: save it there")
                self._predictors = {}  # one at a time: a large network is gigabytes
                self._predictors[key] = Predictor(self.weights_[epoch], device, self.precision)
            return self._predictors[key](X)


def _layers(hidden: Sequence[int] | int) -> list[int]:
    layers = [hidden] if isinstance(hidden, int | np.integer) else list(hidden)
    if not layers or not all(isinstance(n, int | np.integer) and n >= 1 for n in layers):
        raise SettingsError(f"hidden: found {hidden}, accepted one or more numbers of units, each 1 or more")
    return [int(n) for n in layers]


def _check_shapes(weights: Weights, landmarks: int, targets: int) -> None:
    """Refuse a stored network whose layers do not fit together."""
    width = landmarks
    for depth in range(len(weights) // 2):
        weight, bias = weights[f"layers.{depth}.weight"], weights[f"layers.{depth}.bias"]
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ModelError(f"layer {depth} holds weights of shape {weight.shape}, accepted (units, {width})")
        width = len(weight)
    if width != targets or not weights:
        raise ModelError(f"the network ends in {width} units, accepted {targets} target genes")
