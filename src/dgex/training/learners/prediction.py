"""Prediction of a trained network, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from dgex.training.batches.loader import as_tensor
from dgex.training.learners.perceptron import Perceptron
from dgex.training.learners.pipeline import stream_through
from dgex.training.learners.products import Products, make_products
from dgex.training.learners.standard import Standard
from dgex.training.learners.tuning import agrees, bf16_instructions, pick_threads, resolve, using_threads
from dgex.training.machine.device import on_device

__all__ = ["Predictor"]

_LONG = 1 << 36  # profiles times weights: a good part of a second
_LOCKED = 1 << 28  # bytes

# Profiles at once: enough for the matrix products, few enough for what is between them to stay in the cache.
_BLOCKS = {"float32": 1024, "tf32": 1024, "bf16": 512}


class Predictor:
    """One network, ready to predict on a device.

    The precision is chosen here, by the weights and the machine and not by what is predicted, so that a profile's
    targets do not depend on the profiles beside it.

    Parameters
    ----------
    weights : mapping of name to ndarray of float32
        As `Perceptron.state_dict` names them; on the CPU they are used in place.
    device : torch.device
        Where to predict.
    precision : str
        "float32", "tf32", "bf16", or "auto": as `dgex.training.learners.tuning.resolve` finds, and bf16 only where it
        agrees with float32 for these very weights. On a processor without bfloat16 "bf16" is "float32", as it would
        only be slow.
    statistics : mapping of name to ndarray of float32, optional
        Of genes that the network was given standardised, as `Standard` takes them.

    Attributes
    ----------
    precision : str
        What was chosen.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        device: torch.device,
        precision: str = "auto",
        statistics: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        network = Perceptron.holding({name: as_tensor(value, device) for name, value in weights.items()})
        sizes = [network.weight(0).shape[1], *(len(network.bias(d)) for d in range(len(network.layers)))]
        arithmetic = resolve(precision, device, sizes, predicting=True)
        on_cpu = device.type == "cpu"
        if arithmetic == "bf16" and on_cpu:
            fits = agrees(network) if precision == "auto" else bf16_instructions()
            arithmetic = "bf16" if fits else "float32"
        self.device, self.precision, self.targets = device, arithmetic, sizes[-1]
        self._block = _BLOCKS[arithmetic]
        self._products = make_products(network, arithmetic) if on_cpu or arithmetic != "bf16" else None
        self._standard = None if statistics is None else Standard.on(device, statistics)
        with on_device(device):
            self._forward = _standing(_on_cuda(network, self._products), self._standard) if not on_cpu else None
        self._sizes, self._weights = sizes, sum(value.size for value in weights.values())

    @torch.inference_mode()
    def __call__(self, X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Predict targets from landmarks.

        Parameters
        ----------
        X : ndarray of float32, shape (profiles, landmarks)
            Landmark genes.
        out : ndarray of float32, shape (profiles, targets), optional
            Where the targets go; a new array otherwise.

        Returns
        -------
        ndarray of float32, shape (profiles, targets)
            `out`.
        """
        if self._forward is not None:
            with on_device(self.device):
                return stream_through(self._forward, X, self._room(len(X)) if out is None else out, self.device)
        # PyTorch aligns to cache lines, numpy does not: a float32 product into numpy's memory takes a fifth longer.
        predicted = torch.empty(len(X), self.targets).numpy() if out is None else out
        blocks = [slice(start, start + self._block) for start in range(0, len(X), self._block)]
        with using_threads(self._threads(len(X))):
            for block in blocks:
                x, found = as_tensor(X[block], self.device), as_tensor(predicted[block])
                self._predict(x if self._standard is None else self._standard.landmarks(x), found)
                if self._standard is not None:
                    found.copy_(self._standard.back(found))
        return predicted

    def _room(self, profiles: int) -> np.ndarray:
        """Memory for results from a GPU: page-locked where it is little, as PyTorch keeps that for the next block."""
        if 4 * profiles * self.targets <= _LOCKED:
            return torch.empty(profiles, self.targets, pin_memory=True).numpy()
        return np.empty((profiles, self.targets), np.float32)  # in large pages, which are faster to fill

    def _threads(self, profiles: int) -> int | None:
        """A choice for this call, where it is long enough to be worth a look at the machine."""
        if profiles * self._weights < _LONG:
            return None
        return pick_threads(self._sizes, self._block, self.precision)

    def _predict(self, x: Tensor, out: Tensor) -> None:
        assert self._products is not None
        if out.data_ptr() % 64 and self.precision != "bf16":
            out.copy_(self._products.predict(x))
        elif len(x) == 1 and self.precision == "bf16":  # a product with a vector is rounded in another order
            out.copy_(self._products.predict(x.expand(2, -1))[:1])
        else:
            self._products.predict(x, out)


def _standing(forward: Callable[[Tensor], Tensor], standard: Standard | None) -> Callable[[Tensor], Tensor]:
    """`forward` of genes in their own units."""
    return forward if standard is None else lambda x: standard.back(forward(standard.landmarks(x)))


def _on_cuda(network: Perceptron, products: Products | None) -> Callable[[Tensor], Tensor]:
    """What predicts a block on a CUDA device; the float32 weights are let go where bfloat16 ones do."""
    if products is not None:
        return products.predict
    if find_spec("triton") is None:
        return make_products(network, "bf16").predict
    from dgex.training.learners.fused import forward, padded_layers

    layers, targets = padded_layers(network), len(network.bias(-1))
    return lambda x: forward(layers, x)[:, :targets]
