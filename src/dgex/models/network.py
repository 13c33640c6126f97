"""The paper's multi-task network (D-GEX): all target genes from shared tanh hidden layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
import torch

from dgex.errors import ModelError, SettingsError, first
from dgex.models.base import Estimator, Matrix
from dgex.models.parts import arrays_of, best_of, history_of, measured, parts_from
from dgex.training.device import pick_device
from dgex.training.loader import as_tensor
from dgex.training.loop import TrainingSettings
from dgex.training.partition import PARTITIONS
from dgex.training.parts import Files, Part, Recipe, train_parts
from dgex.training.perceptron import Perceptron

__all__ = ["DGEX"]

_BLOCK = 1024  # profiles predicted at once
_STOPPED = ("finished", "patience", "diverged", "interrupted")  # what one part met tells of the whole, last first
# What may change when a run is resumed (how long and where, not what is learned), and what its folder tells itself.
_NOT_IDENTITY = {"epochs", "device", "patience", "target_parts", "partition"}


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
        "cpu", "cuda", or "auto": a CUDA device where there is one.
    precision : str
        Arithmetic of training and prediction: "float32".
    target_parts : int
        Number of networks that share the targets out between them, each trained alone as if its targets were all
        there are, with the same seed. The paper trained two halves because one GPU could not hold all.
    partition : str
        How they are shared out: "random", in equal parts drawn from the seed, or "cluster", in equal parts of
        genes whose training profiles are alike (the paper's outlook).

    Attributes
    ----------
    history_ : DataFrame
        One row an epoch: `epoch`, `learning_rate`, `loss` (mean over profiles of the squared error summed
        over targets, with dropout, during the epoch), `train.error` (overall error on the fixed training
        samples after it), `NAME.error` and `NAME.sd` of each evaluation set, `seconds`, and `profiles_per_s`
        of the learning alone. With several target parts a first column `part`, counted from 1, and one row an
        epoch and part, whose errors are over the part's genes.
    best_ : dict
        `epoch`, `error` and `sd` of the weights kept for each evaluation set; `last` without sets. With several
        target parts each keeps its own best epoch: `epoch` is their list, `error` and `sd` are over all genes.
    parts_ : list of Part
        The networks: each with its `targets` (positions among the target genes), `best`, `weights`, `history` and
        `stopped`; one where all targets are trained jointly.
    stopped_ : str
        "finished", "patience", "diverged" or "interrupted" (Ctrl-C); of several parts the one that comes last
        in this list.
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

    With several target parts, part K has the folder `part-K` in `checkpoint_dir` and the learning curve
    `STEM-part-K.SUFFIX`; finished parts are not trained again. Under torchrun the parts are spread over the ranks,
    which must all see `checkpoint_dir`.

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
        precision: str = "float32",
        target_parts: int = 1,
        partition: str = "random",
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
        self.target_parts = target_parts
        self.partition = partition

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
        return self._forward(self._aligned(X, "landmark", "X"), best)

    # ---- the hooks of Estimator

    def _fit(
        self, X: np.ndarray, Y: np.ndarray, eval_sets: dict[str, tuple[np.ndarray, np.ndarray]], **options: Any
    ) -> None:
        began = time.perf_counter()
        recipe, files = self._checked(), _files(options)
        self._keep(train_parts(recipe, X, Y, eval_sets, files))
        self.metrics_["sets"] = {
            name: measured(self.parts_, name) | {"profiles": len(x)} for name, (x, _) in eval_sets.items()
        }
        self.metrics_["seconds"] = round(time.perf_counter() - began, 3)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        return self._forward(X, next(iter(self.best_)))

    def _arrays(self) -> dict[str, np.ndarray]:
        return arrays_of(self.parts_)

    def _state(self) -> dict[str, Any]:
        whole = {"best": self.best_, "stopped": self.stopped_, "history": self.history_.to_dict("records")}
        several = [{"genes": len(part.targets), "best": part.best, "stopped": part.stopped} for part in self.parts_]
        return whole | ({"parts": several} if len(several) > 1 else {})

    def _restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        self._keep(parts_from(arrays, state, self.n_features_in_, self.n_targets_))

    # ---- inside

    def _check_settings(self) -> None:
        self._checked()

    def _checked(self) -> Recipe:
        hidden = _layers(self.hidden)
        for name, value in {"dropout": self.dropout, "momentum": self.momentum}.items():
            if not 0 <= value < 1:
                raise SettingsError(f"{name}: found {value}, accepted 0 or more, below 1")
        if not self.rate_scale > 0:
            raise SettingsError(f"rate_scale: found {self.rate_scale}, accepted a number above 0")
        if self.precision != "float32":
            raise SettingsError(f"precision: found {self.precision!r}, accepted 'float32'")
        parts = self.target_parts
        if not isinstance(parts, int | np.integer) or isinstance(parts, bool) or parts < 1:
            raise SettingsError(f"target_parts: found {parts}, accepted a whole number, 1 or more")
        if self.partition not in PARTITIONS:
            raise SettingsError(f"partition: found {self.partition!r}, accepted {' or '.join(map(repr, PARTITIONS))}")
        rate = self.learning_rate
        settings = TrainingSettings(
            learning_rate=(5e-4 if len(hidden) == 1 else 3e-4) if rate is None else rate,
            **{f.name: getattr(self, f.name) for f in fields(TrainingSettings) if f.name != "learning_rate"},
        )
        identity = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_IDENTITY}
        identity |= {"hidden": hidden, "learning_rate": settings.learning_rate}
        own = {name: getattr(self, name) for name in ("momentum", "dropout", "rate_scale", "seed", "precision")}
        return Recipe(hidden, settings, pick_device(self.device), own, identity, int(parts), self.partition)

    def _keep(self, parts: list[Part]) -> None:
        """Take trained networks over, and tell of the whole what they tell of their parts."""
        self.parts_ = parts
        self._networks: dict[int, tuple[tuple[int, str], Perceptron]] = {}
        self.stopped_ = max((part.stopped for part in parts), key=_STOPPED.index)
        self.interrupted_ = self.stopped_ == "interrupted"
        self.best_, self.history_ = best_of(parts), history_of(parts)

    def _forward(self, X: np.ndarray, best: str) -> np.ndarray:
        device = pick_device(self.device)
        predicted = np.empty((len(X), self.n_targets_), dtype=np.float32)
        with torch.inference_mode():
            for at, part in enumerate(self.parts_):
                network = self._network(at, part.best[best]["epoch"], device)
                for start in range(0, len(X), _BLOCK):
                    block = slice(start, start + _BLOCK)
                    found = network(as_tensor(X[block], device))
                    if len(self.parts_) == 1:
                        as_tensor(predicted[block]).copy_(found)
                    else:
                        predicted[block, part.targets] = found.cpu().numpy()
        return predicted

    def _network(self, at: int, epoch: int, device: torch.device) -> Perceptron:
        """The network of a part with the weights of `epoch` on `device`, kept for the next block."""
        key = (epoch, str(device))
        held = self._networks.get(at)
        if held is None or held[0] != key:
            weights = self.parts_[at].weights[epoch]
            network = Perceptron.holding({name: as_tensor(value, device) for name, value in weights.items()})
            held = self._networks[at] = (key, network)  # one epoch at a time: a large network is gigabytes
        return held[1]


def _files(options: dict[str, Any]) -> Files:
    known = {field.name for field in fields(Files)}
    if unknown := set(options) - known:
        raise SettingsError(f"DGEX.fit does not take {first(sorted(unknown))}; accepted: {', '.join(sorted(known))}")
    if options.get("resume") and options.get("checkpoint_dir") is None:
        raise SettingsError("resume: found True without checkpoint_dir, the folder to go on from")
    return Files(**options)


def _layers(hidden: Sequence[int] | int) -> list[int]:
    layers = [hidden] if isinstance(hidden, int | np.integer) else list(hidden)
    if not layers or not all(isinstance(n, int | np.integer) and n >= 1 for n in layers):
        raise SettingsError(f"hidden: found {hidden}, accepted one or more numbers of units, each 1 or more")
    return [int(n) for n in layers]
