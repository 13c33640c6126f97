"""How the simulated compendium is measured: studies, chips, arrays and RNA-Seq."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["CEILING", "DEPTH_SD", "FLOOR", "Design", "Platform", "draw_design", "read_array", "read_rnaseq"]

Array = np.ndarray

FLOOR, CEILING = 4.0, 15.0  # log2 units an array can show, as after the usual background correction
DEPTH_SD = 0.6  # spread over samples of the natural logarithm of the RNA-Seq depth
# Reads of a gene at one unit of expression: a gene at level 8, in the middle of the arrays' scale, is read about 3,200
# times, as with 60 million reads over 20,000 genes.
READS = 256.0
_LN2 = np.float32(np.log(2.0))


@dataclass(frozen=True)
class Platform:
    """Gene-wise effects of a platform's chips: `shift` (log2 units) and `scale`, both [chips, genes]."""

    name: str
    shift: Array
    scale: Array

    @classmethod
    def draw(
        cls, rng: np.random.Generator, name: str, chips: int, genes: int, shift_sd: float, scale_sd: float
    ) -> Platform:
        shift = (shift_sd * rng.standard_normal((chips, genes))).astype(np.float32)
        scale = np.exp(scale_sd * rng.standard_normal((chips, genes))).astype(np.float32)
        return cls(name, shift, scale)


@dataclass(frozen=True)
class Design:
    """Which tissue, study and chip every sample of a platform comes from.

    Attributes
    ----------
    tissue, study, chip : ndarray [samples] of int
        Samples of a study follow each other, but for near-duplicates, which share all three with their original.
    original : ndarray [samples] of int
        The sample that this one nearly repeats, or -1; always another sample of the same chunk.
    """

    tissue: Array
    study: Array
    chip: Array
    original: Array

    def __len__(self) -> int:
        return len(self.tissue)

    def table(self, prefix: str, platform: str, chip_prefix: str, name: str) -> pd.DataFrame:
        """Return `obs` of these samples; `prefix` starts their ids and those of their studies."""
        ids = np.array([f"{prefix}{i + 1:06d}" for i in range(len(self))], dtype=object)
        return pd.DataFrame(
            {
                "tissue": [f"tissue{t + 1:02d}" for t in self.tissue],
                "study": [f"{prefix}T{s + 1:05d}" for s in self.study],
                "platform": platform,
                "chip": [f"{chip_prefix}{c + 1}" for c in self.chip],
                "set": name,
                "duplicate_of": np.where(self.original >= 0, ids[self.original], ""),
            },
            index=pd.Index(ids, dtype=object),
        )


def draw_design(
    rng: np.random.Generator, samples: int, *, tissues: int, studies: int, chips: int, duplicates: float, chunk: int
) -> Design:
    """Draw studies of unequal size, one chip each and mostly one tissue each, and mark the near-duplicates.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    samples, tissues, studies, chips : int
        Sizes.
    duplicates : float
        Share of the samples that nearly repeat another one.
    chunk : int
        Near-duplicates lie in the same run of `chunk` samples as their originals, so that either is drawn with it.

    Returns
    -------
    Design
    """
    bounds = np.cumsum(np.exp(rng.standard_normal(studies)))
    study = np.searchsorted(bounds, bounds[-1] * (np.arange(samples) + 0.5) / samples)
    study = np.minimum(study, studies - 1)
    main_tissue, chip_of_study = rng.integers(tissues, size=studies), rng.integers(chips, size=studies)
    stray = rng.random(samples) < 0.2
    tissue = np.where(stray, rng.integers(tissues, size=samples), main_tissue[study])
    chip = chip_of_study[study]
    original = np.full(samples, -1)
    for start in range(0, samples, chunk):
        order = start + rng.permutation(min(chunk, samples - start))
        repeats = round(duplicates * len(order))
        if repeats:
            original[order[:repeats]] = rng.choice(order[repeats:], repeats)
    source = np.where(original >= 0, original, np.arange(samples))
    return Design(tissue[source], study[source], chip[source], original)


def read_array(levels: Array, rng: np.random.Generator) -> Array:
    """Turn true log2 levels into what an array shows, in place.

    Every array has its own brightness (an offset and a slope). The scanner then sees background and saturation:
    2^y = 2^FLOOR + I / (1 + I / M) with I = 2^x and M = 2^CEILING - 2^FLOOR, so that FLOOR < y < CEILING.

    Parameters
    ----------
    levels : ndarray [samples, genes] of float32
        True log2 levels; overwritten.
    rng : numpy.random.Generator
        Source of the brightness.
    """
    slope = 1.0 + 0.02 * rng.standard_normal((len(levels), 1), dtype=np.float32)
    offset = 0.1 * rng.standard_normal((len(levels), 1), dtype=np.float32)
    levels *= slope * _LN2
    levels += (offset + 8.0 * (1.0 - slope)) * _LN2  # the slope turns about the middle of the scale
    np.exp(levels, out=levels)
    saturation = levels * np.float32(1.0 / (2.0**CEILING - 2.0**FLOOR))
    saturation += np.float32(1.0)
    levels /= saturation
    levels += np.float32(2.0**FLOOR)
    np.log(levels, out=levels)
    levels *= np.float32(1.0) / _LN2
    return levels


def read_rnaseq(levels: Array, rng: np.random.Generator) -> Array:
    """Turn true log2 levels into log2(1 + reads per unit of depth), in place.

    What arrays show as background is not expressed: the amount is 2^(1.25 (x - 5)) - 1, and nothing below level 5. The
    reads are Poisson draws with mean 256 d times the amount, with a log-normal depth d a sample, so that weakly
    expressed genes are noisy and often zero.

    Parameters
    ----------
    levels : ndarray [samples, genes] of float32
        True log2 levels; overwritten.
    rng : numpy.random.Generator
        Source of the depths and the reads.
    """
    for row in levels:  # row by row: the reads are 64-bit integers
        depth = READS * np.exp(DEPTH_SD * rng.standard_normal())
        amount = np.exp2(1.25 * (np.minimum(row, 16.0).astype(np.float64) - 5.0)) - 1.0
        row[:] = np.minimum(np.log2(1.0 + rng.poisson(depth * np.maximum(amount, 0.0)) / depth), 15.0)
    return levels
