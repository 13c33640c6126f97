"""The one face of all estimators: validation, alignment by gene name, and the model folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np

from dgex.errors import DataError, DgexError, ModelError, SettingsError, first
from dgex.models.explaining import Explaining
from dgex.models.matrices import Matrix, check_same_profiles, fingerprint, is_annotated, role_matrix
from dgex.models.named import not_fitted
from dgex.models.telling import Telling
from dgex.models.trusting import Trusting
from dgex.progress import note

if TYPE_CHECKING:
    from anndata import AnnData

    from dgex.dataset.normalization import Normalization
    from dgex.models.record import TrainingRecord
from dgex.aliases import PathLike, Sets

__all__ = ["Arrays", "Estimator", "EvalSets", "LayerStack", "Matrix", "Sets", "report_choice"]

Arrays: TypeAlias = dict[str, np.ndarray]
EvalSets: TypeAlias = Mapping[str, tuple[Matrix, Matrix]]
T = TypeVar("T")


class LayerStack(NamedTuple):
    """A network, or a linear model as one without hidden layers: tanh follows all layers but the last.

    `weights` are [outputs, inputs] of each layer, `biases` [outputs], `targets` the positions of its outputs among the
    model's target genes, `epoch` the one that was kept (None of what is not trained in epochs). `standard` holds the
    genes' `x_mean`, `x_scale`, `y_mean` and `y_scale` where the weights are of genes in standard units.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]
    targets: np.ndarray
    epoch: int | None = None
    standard: Arrays | None = None


class Estimator(Telling, Trusting, Explaining):
    """Base of all models: landmark genes in, target genes out. Methods of other packages subclass it too.

    A subclass says its `kind`, stores its settings in `__init__`, keeps learned state in attributes that end in `_`,
    and fills the hooks `_fit`, `_predict`, `_arrays` and `_restore` (and `_state` where not all is arrays).

    Attributes
    ----------
    landmarks_, targets_ : list of str
        Ordered gene names; `X0…` and `Y0…` where bare arrays were fitted.
    genes_ : DataFrame
        Landmark genes then target genes: index = name, columns = role and further identifiers.
    n_features_in_, n_targets_ : int
        Numbers of landmark and target genes.
    feature_names_in_ : ndarray of str
        The landmark genes, as scikit-learn has them; only where what was fitted had names.
    metrics_ : dict
        What was measured while fitting (overall errors by named set, seconds).
    normalization_ : Normalization or None
        How raw profiles become what the model was fitted on; None when it was fitted on bare matrices.
    training_ : TrainingRecord or None
        What the model was trained on, where `dgex.train` did it.
    confidence_ : Confidence or None
        How far to trust what the model infers, where `dgex.train` or `calibrate` found it out.
    fingerprint_ : str
        SHA-256 over the shapes and a sample of the training values.
    kind : str
        Name of the method, as in `model.json` and on the command line; the same for all of a class, as what follows.
    label : str
        What tables call the method.
    trains_in_epochs : bool
        Keeps checkpoints to go on from, a learning curve (`history_`) and a best epoch for every set (`best_`).
    keeps_progress : bool
        Keeps what a killed run goes on from in `checkpoint_dir`, though it does not train in epochs.
    seen_ : tuple of str
        Evaluation sets whose profiles it was fitted on in the end; `expected_` and `expected_by_gene_` then tell the
        errors on them when they were held out.
    spreads : bool
        Several processes can fit one model together.
    refits : bool
        To fit it again, on folds, costs little: it is judged by profiles held out in turn where few are for validation.
    fit_options : tuple of str
        What `fit` takes besides X, Y and `eval_sets`.
    restandardizes : bool
        Its statistics are not those of the dataset it may be judged on, so that values are brought to its own units.
    elsewhere : tuple of str
        Settings that say where or how fast it is fitted, not what is learned.

    Examples
    --------
    >>> class Mean(Estimator):
    ...     kind = "mean"
    ...
    ...     def _fit(self, X, Y, eval_sets):
    ...         self.mean_ = Y.mean(axis=0)
    ...
    ...     def _predict(self, X):
    ...         return np.tile(self.mean_, (len(X), 1))
    ...
    ...     def _arrays(self):
    ...         return {"mean": self.mean_}
    ...
    ...     def _restore(self, arrays, state):
    ...         self.mean_ = arrays["mean"]
    >>> Mean().fit([[0.0], [1.0]], [[1.0, 2.0], [3.0, 6.0]]).predict([[5.0]])
    array([[2., 4.]], dtype=float32)
    """

    kind: ClassVar[str] = ""
    label: ClassVar[str] = ""
    trains_in_epochs: ClassVar[bool] = False
    keeps_progress: ClassVar[bool] = False
    spreads: ClassVar[bool] = False
    _estimator_type: ClassVar[str] = "regressor"  # for scikit-learn before 1.6, which knows no tags of that
    refits: ClassVar[bool] = False
    fit_options: ClassVar[tuple[str, ...]] = ()
    restandardizes: ClassVar[bool] = False
    elsewhere: ClassVar[tuple[str, ...]] = ()

    normalization_: Normalization | None = None
    training_: TrainingRecord | None = None
    metrics_: dict[str, Any]
    seen_: tuple[str, ...] = ()

    # ---- to be filled by subclasses

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Sets) -> None:
        """Learn from float32 matrices, profiles x landmarks and profiles x targets."""
        raise NotImplementedError

    def _predict(self, X: np.ndarray) -> np.ndarray:
        """Infer the targets, [profiles, targets], from float32 landmark values [profiles, landmarks]."""
        raise NotImplementedError

    def _arrays(self) -> Arrays:
        """What was learned, as named arrays for the model folder."""
        raise NotImplementedError

    def _state(self) -> dict[str, Any]:
        """What else was learned, as JSON knows it."""
        return {}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        """Take back what `_arrays` and `_state` gave; settings and genes are there already."""
        raise NotImplementedError

    def layer_stacks(self, best: str | None = None) -> list[LayerStack]:
        """The layers, for interpretation, of the weights kept for the evaluation set `best`; none where there are none.

        Raises
        ------
        SettingsError
            Nothing was kept under that name.
        """
        return []

    def held_models(self) -> list[Estimator]:
        """Fitted models that this one asks when it predicts."""
        return []

    def check_settings(self) -> None:
        """Refuse settings that no data could make right; called before data are read.

        Raises
        ------
        SettingsError
        """

    def settled(self) -> dict[str, Any]:
        """Settings that were left open and what was chosen for them: given to another fit, nothing is left to choose.

        The base takes the attribute `NAME_` for every setting NAME that is None.
        """
        asked = self.get_params(deep=False)
        return {name: getattr(self, f"{name}_") for name in asked if asked[name] is None and hasattr(self, f"{name}_")}

    def operations(self, profiles: int, landmarks: int, targets: int) -> float:
        """Roughly how many floating-point operations a fit takes; 0 where nobody knows or it is little."""
        return 0.0

    # ---- the public face

    def fit(self, X: Matrix, Y: Matrix, eval_sets: EvalSets | None = None, **options: Any) -> Self:
        """Learn the target genes from the landmark genes.

        Parameters
        ----------
        X : array, lists, DataFrame or AnnData, shape (profiles, landmarks)
            Landmark genes; of an AnnData with `var["role"]` only the landmark genes are taken.
        Y : array, lists, DataFrame or AnnData, shape (profiles, targets)
            Target genes of the same profiles; of an AnnData with `var["role"]` only the target genes.
        eval_sets : dict of name to (X, Y), optional
            Held-out sets; the first chooses penalties and the best epoch.
        **options
            What the estimator's `fit_options` take (files for history and checkpoints, for instance).

        Raises
        ------
        DataError
            NaN or infinity, shapes that do not fit, fewer than two profiles.
        GeneError
            Repeated gene names, or an evaluation set that lacks genes.
        SettingsError
            An option that this estimator does not take, or a setting outside what is accepted.
        """
        unknown = [name for name in options if name not in self.fit_options]
        if unknown:
            takes = ", ".join(("X", "Y", "eval_sets", *self.fit_options))
            raise SettingsError(f"{type(self).__name__}.fit does not take {first(unknown)}", accepted=f"{takes}")
        self.check_settings()
        if Y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        x, x_genes = role_matrix(X, "landmark", "X")
        y, y_genes = role_matrix(Y, "target", "Y")
        if len(x) != len(y):
            raise DataError(f"X and Y hold different numbers of profiles: found {len(x):,} and {len(y):,}")
        check_same_profiles(X, Y)
        if len(x) < 2:
            raise DataError(f"too few training profiles: found {len(x)}, at least 2 are needed")
        self._set_genes(x_genes, y_genes)
        sets = {name: self._evaluation(name, *pair) for name, pair in (eval_sets or {}).items()}
        self.fingerprint_ = fingerprint(x, y)
        self.metrics_, self.normalization_, self.training_ = {}, None, None
        self.confidence_, self.training_index_ = None, None
        self._own("fit", lambda: self._fit(x, y, sets, **options))
        return self

    def predict(self, X: Matrix) -> np.ndarray:
        """Infer the target genes.

        Parameters
        ----------
        X : array, DataFrame or AnnData, shape (profiles, landmarks)
            Landmark genes in the units of the training matrix; genes of a DataFrame or an AnnData may come
            in any order among others.

        Returns
        -------
        ndarray of float32, shape (profiles, targets)

        Raises
        ------
        ModelError
            The model was not fitted; scikit-learn's NotFittedError too.
        GeneError
            A landmark gene is missing.
        DataError
            NaN or infinity, a wrong number of columns, or an AnnData of values as they were measured for a model that
            works on normalised ones.
        """
        self._check_fitted()
        x = self._inputs(X)
        return self._checked(self._own("predict", lambda: self._predict(x)), len(x))

    def score(self, X: Matrix, Y: Matrix) -> float:
        """Negative overall error: minus the mean over target genes of the mean absolute error; 0 is perfect.

        By it `cross_val_score` and `GridSearchCV` of scikit-learn choose as `dgex evaluate` judges.

        Parameters
        ----------
        X, Y : array, lists, DataFrame or AnnData
            As for `fit`; genes with names may come in any order among others.

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        true = self._aligned(Y, "target", "Y")
        if len(true) != len(predicted):
            raise DataError(f"X and Y hold different numbers of profiles: found {len(predicted):,} and {len(true):,}")
        return -float(np.abs(true - predicted).mean(axis=0, dtype=np.float64).mean())

    def _check_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            raise not_fitted(f"this {type(self).__name__} is not fitted; call fit or load a model folder")

    def _inputs(self, X: Matrix) -> np.ndarray:
        """Landmark values in the model's order, refused where they are known to be of other units."""
        if is_annotated(X):
            self._check_units(X)
        return self._aligned(X, "landmark", "X")

    def _check_units(self, adata: AnnData) -> None:
        """Refuse an AnnData that was not normalised, where the model was fitted on values that were."""
        ours = self.normalization_
        if ours is None or (ours.standardize == "none" and ours.quantile == "none"):
            return
        record = adata.uns.get("dgex", {})
        standardized = "mean" in adata.varm and "std" in adata.varm
        if (ours.standardize != "none" and not standardized) or (not record and ours.quantile != "none"):
            raise DataError(
                f"X holds values as they were measured, and this model was fitted on normalised ones (quantile: "
                f"{ours.quantile}, standardize: {ours.standardize})",
                accepted="a dataset of dgex.prepare, or an array "
                "in the model's units (adata.X); dgex.infer takes values as they were measured",
            )

    def _own(self, verb: str, call: Callable[[], T]) -> T:
        """Call a hook; what a method of another package raises becomes one line under its name."""
        if type(self).__module__.startswith("dgex."):
            return call()
        try:
            return call()
        except (DgexError, MemoryError):
            raise
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            raise ModelError(f"the method {self.kind} failed to {verb}: {type(error).__name__}: {text}") from error

    def _checked(self, predicted: object, profiles: int) -> np.ndarray:
        """Hold a method to its word: finite float32 values, profiles x targets."""
        try:
            values = np.asarray(predicted, dtype=np.float32)
        except (TypeError, ValueError):
            values = np.empty(0, dtype=np.float32)
        if values.shape != (profiles, self.n_targets_):
            raise ModelError(
                f"the method {self.kind} predicted {type(predicted).__name__} of shape "
                f"{getattr(predicted, 'shape', None)}, accepted: {profiles:,} profiles x {self.n_targets_:,} targets"
            )
        with np.errstate(all="ignore"):
            finite = bool(np.isfinite(values.sum(dtype=np.float64)))
        if not finite:
            bad = int((~np.isfinite(values)).sum())
            raise ModelError(f"the method {self.kind} predicted {bad:,} values that are NaN or infinite")
        return values

    def save(self, path: PathLike, overwrite: bool = False) -> None:
        """Write the model folder: `model.safetensors`, `model.json` and a model card; see `dgex.load`."""
        from dgex.models.folder import save

        save(self, path, overwrite=overwrite)


def report_choice(kind: str, name: str, value: object, error: float) -> None:
    """Say which setting the validation set chose."""
    note(f"{kind}: {name} = {value} chosen on the validation profiles, overall error {error:.4f}")
