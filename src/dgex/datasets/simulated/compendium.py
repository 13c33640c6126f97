"""The simulated compendium as something that draws any run of its samples by itself."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from dgex.datasets.simulated.measurement import Design, Platform, draw_design, read_array, read_rnaseq
from dgex.datasets.simulated.regulation import Regulation, draw_regulation
from dgex.errors import SettingsError

__all__ = ["Compendium", "Settings", "check_whole"]

CHUNK = 256  # samples drawn with one generator, whatever the block size; changing it changes every compendium
DUPLICATE_DISTANCE = 0.25  # typical Euclidean distance of a near-duplicate over all genes, below the paper's 1.0
_SPIKES = 0.002  # share of single values whose noise is five times as large
_STREAMS = {"genes": 0, "array": 1, "rnaseq": 2}
_DESIGN, _CHUNK, _STUDY = 0, 1, 2

Array = np.ndarray


@dataclass(frozen=True)
class Settings:
    """The settings of `dgex.simulate` that decide the result; `check` says which are accepted."""

    samples: int
    landmarks: int
    targets: int
    rnaseq: int
    tissues: int
    programmes: int
    circuits: int
    nonlinear: float
    studies: int
    chips: int
    batch: float
    noise: float
    duplicates: float
    seed: int

    def check(self) -> None:
        """Raise SettingsError for the first setting out of range."""
        least = {"landmarks": 2, "programmes": 2, "rnaseq": 0, "seed": 0}
        for name in ("samples", "landmarks", "targets", "rnaseq", "tissues", "programmes", "circuits", "studies"):
            check_whole(name, getattr(self, name), least.get(name, 1))
        for name in ("chips", "seed"):
            check_whole(name, getattr(self, name), least.get(name, 1))
        for name, most in (("nonlinear", 1.0), ("batch", math.inf), ("noise", math.inf), ("duplicates", 0.5)):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and 0.0 <= value <= most):
                accepted = "a number of at least 0" if most == math.inf else f"a number from 0 to {most:g}"
                raise SettingsError(f"{name} is {value!r}; {accepted} is accepted")


def check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise SettingsError(f"{name} is {value!r}; a whole number of at least {least} is accepted")


class Compendium:
    """The genes, the platforms and the samples of one compendium; draws any chunk of it by itself."""

    def __init__(self, settings: Settings) -> None:
        s = self.settings = settings
        rng = self._rng("genes")
        self.regulation: Regulation = draw_regulation(
            rng,
            tissues=s.tissues,
            programmes=s.programmes,
            circuits=s.circuits,
            landmarks=s.landmarks,
            targets=s.targets,
            nonlinear=s.nonlinear,
            noise=s.noise,
        )
        genes = self.regulation.genes
        self.platforms = {
            "array": Platform.draw(rng, "array", s.chips, genes, 0.3 * s.batch, 0.15 * s.batch),
            # what separates the technologies stays when chips and studies are switched off
            "rnaseq": Platform.draw(rng, "rnaseq", 1, genes, 0.6, 0.2),
        }
        self.designs = {"array": self._design("array", s.samples, s.studies)}
        if s.rnaseq:
            studies = max(1, round(s.studies * s.rnaseq / s.samples))
            self.designs["rnaseq"] = self._design("rnaseq", s.rnaseq, studies)

    def _rng(self, stream: str, *key: int) -> np.random.Generator:
        """Return the generator of one part of the compendium; parts never share a stream."""
        sequence = np.random.SeedSequence(int(self.settings.seed), spawn_key=(_STREAMS[stream], *key))
        return np.random.Generator(np.random.SFC64(sequence))

    def _design(self, platform: str, samples: int, studies: int) -> Design:
        return draw_design(
            self._rng(platform, _DESIGN),
            samples,
            tissues=self.settings.tissues,
            studies=studies,
            chips=len(self.platforms[platform].shift),
            duplicates=self.settings.duplicates,
            chunk=CHUNK,
        )

    def obs(self) -> pd.DataFrame:
        """Return `obs` of all samples, arrays first."""
        tables = [self.designs["array"].table("S", "array", "chip", "compendium")]
        if "rnaseq" in self.designs:
            tables.append(self.designs["rnaseq"].table("R", "rnaseq", "sequencer", "rnaseq"))
        table = pd.concat(tables)
        return table if (table["duplicate_of"] != "").any() else table.drop(columns="duplicate_of")

    def chunks(self) -> Iterator[Array]:
        """Yield the profiles in order, at most `CHUNK` at a time, drawn ahead on as many threads as there are cores."""
        jobs = [(name, start) for name, design in self.designs.items() for start in range(0, len(design), CHUNK)]
        workers = min(os.cpu_count() or 1, 8, len(jobs))
        waiting: deque[Future[Array]] = deque()
        # one BLAS thread a chunk: the sums then do not depend on the machine's number of cores
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
            for job in jobs:
                waiting.append(pool.submit(self._chunk, *job))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _chunk(self, name: str, start: int) -> Array:
        """Draw the profiles `start` to `start + CHUNK` of a platform, [samples, genes]."""
        design, platform = self.designs[name], self.platforms[name]
        rows = slice(start, min(start + CHUNK, len(design)))
        rng = self._rng(name, _CHUNK, start // CHUNK)
        levels = self._levels(design, rows, name, rng)
        studies = design.study[rows]
        for study in np.unique(studies):
            members = studies == study
            chip = design.chip[rows][members][0]
            shift = self.regulation.base + platform.shift[chip] + self._study_shift(name, int(study))
            if _is_run(members):  # a view is several times faster than picking rows
                first = int(np.argmax(members))
                part = levels[first : first + int(members.sum())]
                part *= platform.scale[chip]
                part += shift
            else:
                levels[members] = levels[members] * platform.scale[chip] + shift
        values = read_array(levels, rng) if name == "array" else read_rnaseq(levels, rng)
        self._repeat(values, design.original[rows] - start, rng, name)
        return values

    def _levels(self, design: Design, rows: slice, name: str, rng: np.random.Generator) -> Array:
        """Draw true log2 levels around the genes' base levels, before study and chip."""
        regulation = self.regulation
        count = rows.stop - rows.start
        activity = np.sqrt(0.55 / 1.5) * rng.standard_t(6, (count, regulation.programmes))  # variance 0.55
        activity += regulation.tissue_means[design.tissue[rows]]
        for study in np.unique(design.study[rows]):
            lean = self._rng(name, _STUDY, int(study), 0).standard_normal(regulation.programmes)
            activity[design.study[rows] == study] += 0.25 * self.settings.batch * lean
        own = rng.standard_normal((count, regulation.landmarks), dtype=np.float32)
        levels = regulation.signal(activity.astype(np.float32), own)
        noise = rng.standard_normal(levels.shape, dtype=np.float32)
        # poor samples are poor in all genes: with this factor the noise is Student's t with 8 degrees of freedom
        noise *= np.sqrt(8.0 / rng.chisquare(8.0, (count, 1))).astype(np.float32)
        spikes = rng.integers(noise.size, size=rng.poisson(_SPIKES * noise.size))
        noise.reshape(-1)[spikes] *= np.float32(5.0)
        noise *= regulation.noise
        levels += noise
        return levels

    def _study_shift(self, name: str, study: int) -> Array:
        """Return the gene-wise shift of a study in log2 units; drawn anew each time, as thousands may exist."""
        rng = self._rng(name, _STUDY, study, 1)
        size = 0.15 * self.settings.batch * np.exp(0.3 * rng.standard_normal())
        return np.float32(size) * rng.standard_normal(self.regulation.genes, dtype=np.float32)

    def _repeat(self, values: Array, original: Array, rng: np.random.Generator, name: str) -> None:
        """Overwrite the near-duplicates: half repeat their original exactly, half with noise."""
        low, high = (4.0, 15.0) if name == "array" else (0.0, 15.0)
        for row in np.flatnonzero(original >= 0):
            size = rng.integers(2) * DUPLICATE_DISTANCE / math.sqrt(values.shape[1])
            noise = np.float32(size) * rng.standard_normal(values.shape[1], dtype=np.float32)
            np.clip(values[original[row]] + noise, low, high, out=values[row])


def _is_run(members: Array) -> bool:
    where = np.flatnonzero(members)
    return int(where[-1] - where[0]) + 1 == len(where)
