"""The biology of the simulated compendium: programmes, landmark genes, circuits and the target genes they drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["Regulation", "draw_regulation"]

GATES = ("sum", "hill", "and", "xor")
KIND_OF_GATE = {"sum": "linear", "hill": "saturating", "and": "combinatorial", "xor": "combinatorial"}
_REFERENCE = 4096  # samples from which the mean and spread of every circuit are estimated

Array = np.ndarray


@dataclass(frozen=True)
class Regulation:
    """What is true of the genes, whichever samples are drawn; docs/simulation.md has the equations.

    Attributes
    ----------
    tissue_means : ndarray [tissues, programmes]
        Mean activity of every programme in every tissue.
    loadings : ndarray [programmes, landmarks]
        Weight of the programmes in each landmark gene.
    own : ndarray [landmarks]
        Weight of each landmark gene's own variation, that no programme explains.
    gates : ndarray [circuits] of str
        How each circuit combines its two inputs, one of `GATES`.
    inputs : ndarray [circuits, 2] of int
        The two inputs: below `programmes` a programme, from there on a landmark gene.
    gain, threshold : ndarray [circuits, 2]
        Steepness and half-point of the response to either input.
    centre, spread : ndarray [circuits]
        Mean and standard deviation of the raw circuits, which are standardised with them.
    weights : ndarray [circuits + programmes, targets]
        Weight of the standardised circuits and of the programmes in each target gene.
    main : ndarray [targets] of int
        The circuit with the largest part in each target gene.
    base, amplitude, noise : ndarray [genes]
        Mean level, spread of the regulated part and of the unexplained part, in log2 units; landmarks first.
    """

    tissue_means: Array
    loadings: Array
    own: Array
    gates: Array
    inputs: Array
    gain: Array
    threshold: Array
    centre: Array
    spread: Array
    weights: Array
    main: Array
    base: Array
    amplitude: Array
    noise: Array

    @property
    def programmes(self) -> int:
        return int(self.loadings.shape[0])

    @property
    def landmarks(self) -> int:
        return int(self.loadings.shape[1])

    @property
    def genes(self) -> int:
        return len(self.base)

    def signal(self, activity: Array, own: Array) -> Array:
        """Return the regulated part of every gene's level, in log2 units around the gene's base level.

        Parameters
        ----------
        activity : ndarray [samples, programmes]
            Activity of the programmes.
        own : ndarray [samples, landmarks]
            Standard normal own variation of the landmark genes.

        Returns
        -------
        ndarray [samples, genes] of float32
        """
        landmarks = self.landmark_levels(activity, own)
        drivers = np.concatenate([self.circuit_levels(activity, landmarks), activity], axis=1)
        out = np.empty((len(activity), self.genes), np.float32)
        out[:, : self.landmarks] = landmarks
        np.matmul(drivers, self.weights, out=out[:, self.landmarks :])
        out *= self.amplitude
        return out

    def landmark_levels(self, activity: Array, own: Array) -> Array:
        """Return the standardised levels of the landmark genes, [samples, landmarks]."""
        return np.asarray(activity @ self.loadings + own * self.own)

    def circuit_levels(self, activity: Array, landmarks: Array) -> Array:
        """Return the standardised outputs of the circuits, [samples, circuits]."""
        gated = _gated(self.gates, self.inputs, self.gain, self.threshold, activity, landmarks)
        return np.asarray((gated - self.centre) / self.spread)

    def table(self) -> pd.DataFrame:
        """Return `var` of the compendium: one row a gene, with its role and the truth about its regulation."""
        names = [f"P{i + 1:02d}" for i in range(self.programmes)]
        names += [f"LM{i + 1:04d}" for i in range(self.landmarks)]
        rows: list[tuple[str, str, str, str, str]] = []
        for weights in self.loadings.T:
            by_weight = np.argsort(-np.abs(weights), kind="stable")[: np.count_nonzero(weights)]
            rows.append(("landmark", "linear", "sum", "", ";".join(names[p] for p in by_weight)))
        for circuit in self.main:
            gate = str(self.gates[circuit])
            regulators = ";".join(names[i] for i in self.inputs[circuit])
            rows.append(("target", KIND_OF_GATE[gate], gate, f"C{circuit + 1:03d}", regulators))
        targets = [f"TG{i + 1:05d}" for i in range(len(self.main))]
        table = pd.DataFrame(
            rows,
            columns=["role", "kind", "gate", "circuit", "regulators"],
            index=pd.Index(names[self.programmes :] + targets, dtype=object),
        )
        return table.assign(base=self.base, amplitude=self.amplitude, noise_sd=self.noise)


def draw_regulation(
    rng: np.random.Generator,
    *,
    tissues: int,
    programmes: int,
    circuits: int,
    landmarks: int,
    targets: int,
    nonlinear: float,
    noise: float,
) -> Regulation:
    """Draw the genes and how they are regulated; the number of samples plays no part in it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    tissues, programmes, circuits, landmarks, targets : int
        Sizes.
    nonlinear : float
        Share of the circuits that are not linear: half of them saturate, half combine two inputs.
    noise : float
        Factor on the unexplained part of every gene.

    Returns
    -------
    Regulation
    """
    # a tissue is marked by about a third of the programmes; the rest of a programme's variance is the samples' own
    marked = rng.random((tissues, programmes)) < 0.35
    tissue_means = 1.1 * marked * rng.standard_normal((tissues, programmes))
    loadings, own = _draw_landmarks(rng, programmes, landmarks)
    gates = _draw_gates(rng, circuits, nonlinear)
    inputs = _draw_inputs(rng, circuits, programmes, landmarks)
    gain = rng.uniform(1.0, 2.5, (circuits, 2))
    threshold = rng.normal(0.0, 0.4, (circuits, 2))

    activity = tissue_means[rng.integers(tissues, size=_REFERENCE)]
    activity = activity + np.sqrt(0.55) * rng.standard_normal(activity.shape)
    levels = activity @ loadings + own * rng.standard_normal((_REFERENCE, landmarks))
    raw = _gated(gates, inputs, gain, threshold, activity, levels)

    weights, main = _draw_targets(rng, circuits, programmes, targets)
    well_expressed = rng.uniform(6.5, 12.0, landmarks)  # landmark genes are chosen among those that arrays see well
    base = np.concatenate([well_expressed, np.clip(rng.normal(7.5, 2.0, targets), 3.0, 13.5)])
    amplitude = np.exp(rng.normal(np.log(0.8), 0.35, landmarks + targets))
    relative = np.concatenate([rng.uniform(0.1, 0.3, landmarks), rng.uniform(0.15, 0.6, targets)])
    return Regulation(
        tissue_means=tissue_means.astype(np.float32),
        loadings=loadings.astype(np.float32),
        own=own.astype(np.float32),
        gates=gates,
        inputs=inputs,
        gain=gain.astype(np.float32),
        threshold=threshold.astype(np.float32),
        centre=raw.mean(axis=0).astype(np.float32),
        spread=raw.std(axis=0).astype(np.float32),
        weights=weights.astype(np.float32),
        main=main,
        base=base.astype(np.float32),
        amplitude=amplitude.astype(np.float32),
        noise=(noise * relative * amplitude).astype(np.float32),
    )


def _draw_landmarks(rng: np.random.Generator, programmes: int, landmarks: int) -> tuple[Array, Array]:
    """Each landmark gene follows one programme, two others a little, and varies by itself."""
    loadings = np.zeros((programmes, landmarks))
    for gene in range(landmarks):
        chosen = rng.choice(programmes, min(3, programmes), replace=False)
        weights = np.array([1.0, 0.4, 0.25])[: len(chosen)] * rng.choice([1.0, -1.0], len(chosen), p=[0.75, 0.25])
        loadings[chosen, gene] = weights / np.linalg.norm(weights)
    followed = rng.uniform(0.6, 0.95, landmarks)
    return loadings * followed, np.sqrt(1.0 - followed**2)


def _draw_gates(rng: np.random.Generator, circuits: int, nonlinear: float) -> Array:
    shares = np.array([1.0 - nonlinear, nonlinear / 2, nonlinear / 4, nonlinear / 4])
    bounds = np.round(np.cumsum(shares) * circuits).astype(int)
    kinds = np.searchsorted(bounds, np.arange(circuits), side="right")
    return np.asarray(np.array(GATES)[rng.permutation(kinds)])


def _draw_inputs(rng: np.random.Generator, circuits: int, programmes: int, landmarks: int) -> Array:
    """Draw two different inputs a circuit; programmes and landmark genes (as regulators) are equally likely."""
    programme = rng.random((circuits, 2)) < 0.5
    inputs = np.where(
        programme,
        rng.integers(programmes, size=(circuits, 2)),
        programmes + rng.integers(landmarks, size=(circuits, 2)),
    )
    same = inputs[:, 0] == inputs[:, 1]
    inputs[same, 1] = np.where(
        inputs[same, 1] < programmes,
        (inputs[same, 1] + 1) % programmes,
        programmes + (inputs[same, 1] - programmes + 1) % landmarks,
    )
    return inputs


def _draw_targets(rng: np.random.Generator, circuits: int, programmes: int, targets: int) -> tuple[Array, Array]:
    """Each target gene follows a main circuit, a second one and one programme; the weights' squares sum to one."""
    weights = np.zeros((circuits + programmes, targets))
    popularity = rng.dirichlet(np.ones(circuits) * 2.0)  # regulons of unequal size
    main = rng.choice(circuits, targets, p=popularity)
    second = (main + rng.integers(1, max(circuits, 2), targets)) % circuits
    programme = circuits + rng.integers(programmes, size=targets)
    largest = rng.uniform(0.5, 0.8, targets)
    rest = rng.uniform(0.3, 0.7, targets) * (1.0 - largest)
    sign = rng.choice([1.0, -1.0], (3, targets), p=[0.75, 0.25])
    columns = np.arange(targets)
    weights[second, columns] = sign[1] * np.sqrt(rest)
    weights[programme, columns] = sign[2] * np.sqrt(1.0 - largest - rest)
    weights[main, columns] = sign[0] * np.sqrt(largest)
    return weights, main


def _gated(gates: Array, inputs: Array, gain: Array, threshold: Array, activity: Array, landmarks: Array) -> Array:
    """Return the circuits' outputs before they are standardised, [samples, circuits].

    A Hill response to an amount 2^x, with half-point 2^threshold and exponent n, is the logistic function of
    n ln 2 (x - threshold): (1 + tanh(u)) / 2 with u = gain (x - threshold) and gain = n ln 2 / 2.
    """
    levels = np.concatenate([activity, landmarks], axis=1)
    first, second = levels[:, inputs[:, 0]], levels[:, inputs[:, 1]]
    out = np.empty_like(first)
    a, b = np.tanh(gain[:, 0] * (first - threshold[:, 0])), np.tanh(gain[:, 1] * (second - threshold[:, 1]))
    where = {gate: gates == gate for gate in GATES}
    out[:, where["sum"]] = (first + 0.5 * second)[:, where["sum"]]
    out[:, where["hill"]] = (a + 0.5 * b)[:, where["hill"]]
    out[:, where["and"]] = ((1.0 + a) * (1.0 + b) / 4.0)[:, where["and"]]
    out[:, where["xor"]] = (-a * b)[:, where["xor"]]
    return out
