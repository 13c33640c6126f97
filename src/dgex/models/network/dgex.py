"""The paper's multi-task network (D-GEX): all target genes from shared tanh hidden layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from dgex.aliases import Sets
from dgex.errors import ModelError
from dgex.models.base import LayerStack
from dgex.models.network.epochs import Extent, Network, run_files
from dgex.models.network.parts import arrays_of, best_of, history_of, measured, parts_from
from dgex.models.network.recipe import recipe_of
from dgex.models.network.units import statistics_for, statistics_from
from dgex.training.learners.prediction import Predictor
from dgex.training.machine.architecture import Architecture
from dgex.training.machine.device import pick_device
from dgex.training.machine.memory import predicting
from dgex.training.processes.group import Group
from dgex.training.processes.join import join
from dgex.training.run.parts import Part, train_parts

__all__ = ["DGEX"]

_STOPPED = ("finished", "patience", "diverged", "interrupted")  # of several parts the last of these is told


class DGEX(Network):
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
        every batch. None divides the profiles, but the units where the network would not fit a CUDA device, and on GPUs
        where activations are less to exchange than weights (small batches).
    placement : str
        Where the matrices are while it trains: on the "device"; in host "memory", from where each batch is moved
        while the step before runs (the same batches, so the same result); on "disk", from where they are read in
        blocks of consecutive profiles, in another order of batches (`dgex.training.batches.streams.FromDisk`).
        "auto" takes the first that has room; disk only where a memory map is larger than the host's memory.
    target_parts : int
        Number of networks that share the targets out between them, each trained alone as if its targets were all
        there are, with the same seed. The paper trained two halves because one GPU could not hold all.
    partition : str
        How they are shared out: "random", in equal parts drawn from the seed, or "cluster", in equal parts of
        genes whose training profiles are alike (the paper's outlook).
    standardize : bool, optional
        Standardise all genes inside, by the training profiles' means and deviations, and predict in the units of the
        target genes. None does so where they are not in standard units (`dgex.models.network.units.raw`), and says it.

    Attributes
    ----------
    history_ : DataFrame
        One row an epoch: `epoch`, `learning_rate`, `loss` (mean over profiles of the squared error summed
        over targets, in standard units, with dropout, during the epoch), `train.error` (overall error on the fixed
        training samples after it), `NAME.error` and `NAME.sd` of each evaluation set, `seconds`, and of the learning
        alone `profiles_per_s` and `share_of_ceiling` (shortest possible time, by the rates measured on this device,
        over the time it took; only where steps are long enough to mean anything). With several target parts a
        first column `part`, counted from 1, and one row an epoch and part, whose errors are over the part's genes.
    best_ : dict
        `epoch`, `error` and `sd` of the weights kept for each evaluation set; `last` without sets. With several
        target parts each keeps its own best epoch: `epoch` is their list, `error` and `sd` are over all genes.
    parts_ : list of Part
        The networks: each with its `targets` (positions among the target genes), `best`, `weights`, `history` and
        `stopped`; one where all targets are trained jointly.
    stopped_ : str
        "finished", "patience", "diverged" or "interrupted" (Ctrl-C); of several parts the one that comes last
        in this list.
    precision_ : str
        The precision that training used.
    standardized_ : bool
        Whether the network standardises genes inside.
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
    group : dgex.training.processes.group.Group
        The processes that train together. None asks torchrun: all the processes it started, each of which calls
        `fit` with the same data and settings. `ALONE` trains in this process only.

    Over several processes the batches stay as they are, and so does the result, to rounding. Rank 0 alone writes files
    and holds the fitted weights: save there, and load elsewhere what was saved.

    With several target parts, part K has the folder `part-K` in `checkpoint_dir` and the learning curve
    `STEM-part-K.SUFFIX`; finished parts are not trained again. Over several processes each part is trained by one of
    them, and all must see `checkpoint_dir`; each then holds the whole model.

    The best epoch is kept for every evaluation set separately, as the paper selects one model on GEO-va for
    GEO-te and another on 1000G-va for GTEx-te: `predict(X, best="1000G-va")`. The first set is the default.

    Method: the paper's section 2.3. Where its text leaves a choice open, this follows what the authors'
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
    to float32, and two networks of 4,760 targets where this trains one (`target_parts=2` trains two).

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
    spreads: ClassVar[bool] = True
    fit_options: ClassVar[tuple[str, ...]] = (*Network.fit_options, "group")
    elsewhere: ClassVar[tuple[str, ...]] = ("device", "shard", "placement")

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
        target_parts: int = 1,
        partition: str = "random",
        standardize: bool | None = None,
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
        self.target_parts = target_parts
        self.partition = partition
        self.standardize = standardize

    def layer_stacks(self, best: str | None = None) -> list[LayerStack]:
        name = self._kept(best)
        stacks = []
        for part in self.parts_:
            epoch = part.best[name]["epoch"]
            arrays = self._weights_of(part, epoch)
            depths = range(len(arrays) // 2)
            weights, biases = ([arrays[f"layers.{d}.{kind}"] for d in depths] for kind in ("weight", "bias"))
            stacks.append(LayerStack(weights, biases, part.targets, epoch, self._statistics_of(part)))
        return stacks

    # ---- the hooks of Estimator

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        eval_sets: Sets,
        *,
        group: Group | None = None,
        **options: Any,
    ) -> None:
        began = time.perf_counter()
        recipe, files = recipe_of(self), run_files(options)
        with join(self.device) if group is None else nullcontext(group) as together:
            device = together.device or recipe.device
            statistics = together.from_first(lambda: statistics_for(self.standardize, X, Y, device))
            if statistics is not None:  # those of rank 0 are everybody's, to the last bit
                recipe = replace(recipe, statistics=statistics, identity=recipe.identity | {"standardize": True})
            self._keep(train_parts(recipe, X, Y, eval_sets, files, together), statistics)
        self.metrics_["sets"] = {
            name: measured(self.parts_, name) | {"profiles": len(x)} for name, (x, _) in eval_sets.items()
        }
        self.metrics_["seconds"] = round(time.perf_counter() - began, 3)

    def _arrays(self) -> dict[str, np.ndarray]:
        return arrays_of(self.parts_) | (self._statistics or {})

    def _state(self) -> dict[str, Any]:
        whole: dict[str, Any] = {"best": self.best_, "stopped": self.stopped_, "precision": self.precision_}
        whole |= {"history": self.history_.to_dict("records")} | ({"standardized": True} if self.standardized_ else {})
        several = [
            {"genes": len(part.targets), "best": part.best, "stopped": part.stopped, "precision": part.precision}
            for part in self.parts_
        ]
        return whole | ({"parts": several} if len(several) > 1 else {})

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        statistics = statistics_from(arrays, state, {"x": self.n_features_in_, "y": self.n_targets_})
        self._keep(parts_from(arrays, state, self.n_features_in_, self.n_targets_), statistics)

    def settled(self) -> dict[str, Any]:
        """Also the epoch that was kept, which another fit may end with."""
        epochs = next(iter(self.best_.values()))["epoch"]
        last = max(epochs) if isinstance(epochs, list) else int(epochs)
        standardized = {"standardize": True} if self.standardized_ else {}
        return super().settled() | {"epochs": max(1, last), "patience": None} | standardized

    def operations(self, profiles: int, landmarks: int, targets: int) -> float:
        sizes = [landmarks, *recipe_of(self).hidden, targets]
        return float(self.epochs * Architecture.chain(sizes).step_operations(profiles))

    def extent(self, profiles: int, landmarks: int, targets: int) -> Extent:
        sizes = [landmarks, *recipe_of(self).hidden, -(-targets // self.target_parts)]
        return Extent(Architecture.chain(sizes).parameters, self.target_parts, self.epochs, self.batch_size)

    # ---- inside

    def check_settings(self) -> None:
        recipe_of(self)

    def _keep(self, parts: list[Part], statistics: dict[str, np.ndarray] | None = None) -> None:
        """Take trained networks over, and tell of the whole what they tell of their parts."""
        self.parts_, self._statistics, self.standardized_ = parts, statistics, statistics is not None
        self._predictors: dict[int, tuple[tuple[int, str, str], Predictor]] = {}
        self.precision_ = ", ".join(dict.fromkeys(part.precision for part in parts))
        self.stopped_ = max((part.stopped for part in parts), key=_STOPPED.index)
        self.interrupted_ = self.stopped_ == "interrupted"
        self.best_, self.history_ = best_of(parts), history_of(parts)

    def _weights_of(self, part: Part, epoch: int) -> dict[str, np.ndarray]:
        if not part.weights[epoch]:
            raise ModelError("this process took part in training, but rank 0 holds the model: save it there")
        return part.weights[epoch]

    def _statistics_of(self, part: Part) -> dict[str, np.ndarray] | None:
        """Statistics of the landmark genes and of the part's target genes."""
        if self._statistics is None:
            return None
        return {name: v if name[0] == "x" else v[part.targets] for name, v in self._statistics.items()}

    def _forward(self, X: np.ndarray, best: str) -> np.ndarray:
        with predicting(pick_device(self.device)):
            if len(self.parts_) == 1:
                return self._predictor(0, best)(X)
            predicted = np.empty((len(X), self.n_targets_), dtype=np.float32)
            for at, part in enumerate(self.parts_):
                predicted[:, part.targets] = self._predictor(at, best)(X)
            return predicted

    def _predictor(self, at: int, best: str) -> Predictor:
        """What predicts a part with the weights kept for `best`, held for the next block."""
        epoch, device = self.parts_[at].best[best]["epoch"], pick_device(self.device)
        key = (epoch, str(device), self.precision)
        cached = self._predictors.get(at)
        if cached is None or cached[0] != key:
            weights = self._weights_of(self.parts_[at], epoch)
            self._predictors.pop(at, None)  # one epoch at a time: a large network is gigabytes
            statistics = self._statistics_of(self.parts_[at])
            cached = self._predictors[at] = (key, Predictor(weights, device, self.precision, statistics))
        return cached[1]
