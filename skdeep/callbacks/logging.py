"""Callbacks that log the figures of training, and LambdaCallback."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, is_called_from, warn_user
from skdeep.callbacks.base import Callback
from skdeep.callbacks.graph import graph_def, nodes_of


def of_extra(module: str, who: str, package: str) -> Any:
    """Import a module of an optional package; if it is missing, say how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{who} needs {package}: pip install {package}. ({error})") from error


def _names_the_run(path: str | os.PathLike) -> bool:
    return "{run}" in os.fspath(path)


class LambdaCallback(Callback):
    """Calls functions with the trainer as their argument.

    Parameters
    ----------
    on_train_begin, on_epoch_begin, on_batch_end : callable or None
    on_gradient, on_epoch_end, on_train_end, on_error : callable or None
    """

    def __init__(
        self,
        on_train_begin: Callable | None = None,
        on_epoch_begin: Callable | None = None,
        on_batch_end: Callable | None = None,
        on_gradient: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_end: Callable | None = None,
        on_error: Callable | None = None,
    ):
        self.on_train_begin = on_train_begin
        self.on_epoch_begin = on_epoch_begin
        self.on_batch_end = on_batch_end
        self.on_gradient = on_gradient
        self.on_epoch_end = on_epoch_end
        self.on_train_end = on_train_end
        self.on_error = on_error


class LearningRateLogger(Callback):
    """Keeps the learning rate of every step; `history_` has one for each epoch.

    Attributes
    ----------
    rates_ : list of float
    """

    def on_train_begin(self, trainer):
        if trainer.first_of_fit or not hasattr(self, "rates_"):
            self.rates_: list[float] = []

    def on_batch_end(self, trainer):
        self.rates_.append(trainer.learning_rate)


class CSVLogger(Callback):
    """Writes a line to a file of comma-separated values at the end of each epoch.

    Parameters
    ----------
    path : str or path-like
        `{run}` in it stands for a name of the run, so that runs in parallel have files of their
        own.
    append : bool, default=False
        Whether to add lines to an existing file.
    """

    writes_files = True

    def __init__(self, path: str | os.PathLike, append: bool = False):
        self.path = path
        self.append = append

    @property
    def needs_run_id(self):
        return _names_the_run(self.path)

    def on_train_begin(self, trainer):
        if not trainer.first_of_fit and hasattr(self, "columns_"):
            return  # partial_fit, or a run that continues
        self.path_ = os.fspath(self.path).replace("{run}", str(trainer.run_id))
        self.columns_: list[str] | None = None
        if self.append and os.path.exists(self.path_):
            with open(self.path_, newline="", encoding="utf-8") as file:
                self.columns_ = next(csv.reader(file), None)

    def on_epoch_end(self, trainer):
        row = {"epoch": trainer.epochs_before + trainer.epoch, **trainer.figures}
        is_new = self.columns_ is None
        if is_new:
            self.columns_ = list(row)
        else:  # a figure that a callback or validation data had in other epochs
            absent = set(self.columns_) & set(trainer.history) - set(row)
            row |= dict.fromkeys(absent, math.nan)
        if set(row) != set(self.columns_):
            raise InvalidParameterError(
                f"CSVLogger: {self.path_!r} has columns {self.columns_}, this run has {list(row)}; "
                "give another path, or append=False."
            )
        try:
            with open(self.path_, "w" if is_new else "a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns_)
                if is_new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            if is_new:  # a wrong path, before much was learned
                raise
            warn_user(
                f"CSVLogger could not write {self.path_!r}: {error}. Training continues.",
                RuntimeWarning,
            )


class TensorBoard(Callback):
    """Writes event files that TensorBoard shows: the history, distributions, and the graph.

    Needs tensorboardX.

    Parameters
    ----------
    log_dir : str or path-like, default="runs/{run}"
        `{run}` stands for a name of the run.
    histograms : bool, default=False
        Whether to write the distribution of each layer's weights after every epoch, too.
    gradients : bool, default=False
        Whether to write the distribution of the gradients of each layer's weights in the last step
        of every epoch, before clipping. Their names begin with "gradients/".
    graph : bool, default=False
        Whether to write the layers as a graph, when training begins.
    """

    writes_files = True

    def __init__(
        self,
        log_dir: str | os.PathLike = "runs/{run}",
        histograms: bool = False,
        gradients: bool = False,
        graph: bool = False,
    ):
        self.log_dir = log_dir
        self.histograms = histograms
        self.gradients = gradients
        self.graph = graph

    @property
    def needs_run_id(self):
        return _names_the_run(self.log_dir)

    def on_train_begin(self, trainer):
        package = of_extra("tensorboardX", "TensorBoard", "tensorboardX")
        if trainer.first_of_fit or not hasattr(self, "log_dir_"):
            self.log_dir_ = os.fspath(self.log_dir).replace("{run}", str(trainer.run_id))
        self._writer = package.SummaryWriter(self.log_dir_)
        self._gradients: list[tuple[str, np.ndarray]] = []
        if self.graph and trainer.first_of_fit:
            nodes = nodes_of(trainer.network, trainer.loss)
            of_layers = graph_def(nodes, lambda name: import_module(f"tensorboardX.proto.{name}"))
            self._writer.file_writer.add_onnx_graph(of_layers)  # it takes every GraphDef

    def on_gradient(self, trainer):
        if self.gradients:
            named = trainer.network.named_parameters()
            self._gradients = [(name, p.grad.copy()) for name, p in named if p.grad is not None]

    def on_epoch_end(self, trainer):
        step = trainer.epochs_before + trainer.epoch
        for name, value in trainer.figures.items():
            self._writer.add_scalar(name, value, step)
        if self.histograms:
            for name, parameter in trainer.network.named_parameters():
                self._writer.add_histogram(name, np.asarray(parameter.value), step)
        for name, gradient in self._gradients:
            if np.isfinite(gradient).all():
                self._writer.add_histogram(f"gradients/{name}", gradient, step)
        self._writer.flush()

    def on_train_end(self, trainer):
        self._writer.close()
        del self._writer, self._gradients

    def on_error(self, trainer):
        if hasattr(self, "_writer"):
            self.on_train_end(trainer)

    def __getstate__(self):
        hidden = ("_writer", "_gradients")
        return {k: v for k, v in super().__getstate__().items() if k not in hidden}


class MLflow(Callback):
    """Logs hyperparameters and the history to a run of MLflow.

    Needs mlflow (or mlflow-skinny). If a run is active, it is used, unless another
    `tracking_uri` is given; else a run is started. Every fit of a search or of a cross-validation
    has a run of its own, which is nested in the active run.

    Parameters
    ----------
    experiment : str or None, default=None
    run_name : str or None, default=None
    tracking_uri : str or None, default=None
        The place where runs are kept. None is the one that is set in MLflow.
    parent_run_id : str or None, default=None
        The run that the fit's own run is nested in. None is the active run, in a search. The
        processes of a parallel search (`n_jobs`) do not know which run is active, so give them
        `parent_run_id` and `tracking_uri`.

    Attributes
    ----------
    run_id_ : str
    """

    writes_files = True

    def __init__(
        self,
        experiment: str | None = None,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        parent_run_id: str | None = None,
    ):
        self.experiment = experiment
        self.run_name = run_name
        self.tracking_uri = tracking_uri
        self.parent_run_id = parent_run_id

    def on_train_begin(self, trainer):
        mlflow = of_extra("mlflow", "MLflow", "mlflow")
        self._ends_run = False  # none was started yet
        self._client = client = mlflow.MlflowClient(tracking_uri=self.tracking_uri)
        continues = not trainer.first_of_fit and hasattr(self, "run_id_")
        active = mlflow.active_run() if self.tracking_uri is None else None
        parent = self.parent_run_id
        if active is not None and is_called_from("sklearn.model_selection"):
            parent = parent or active.info.run_id
        if parent is None and active is not None:
            self.run_id_ = active.info.run_id
        else:
            if not continues:
                self.run_id_ = self._nest_run(parent) if parent else self._start_run(mlflow)
            self._ends_run = True
        known = client.get_run(self.run_id_).data.params
        for name, value in trainer.hyperparameters.items():
            if name not in known:  # MLflow lets no parameter change within a run
                client.log_param(self.run_id_, name, str(value)[:500])

    def _nest_run(self, parent: str) -> str:
        experiment = self._client.get_run(parent).info.experiment_id
        tags = {"mlflow.parentRunId": parent}
        return self._client.create_run(experiment, tags=tags, run_name=self.run_name).info.run_id

    def _start_run(self, mlflow) -> str:
        client = self._client
        if self.experiment is None and self.tracking_uri is None:
            # In the experiment that is set in MLflow.
            run = mlflow.start_run(run_name=self.run_name)
            mlflow.end_run("RUNNING")
            return run.info.run_id
        name = self.experiment or "Default"
        experiment = client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else client.create_experiment(name)
        return client.create_run(number, run_name=self.run_name).info.run_id

    def on_epoch_end(self, trainer):
        step = trainer.epochs_before + trainer.epoch
        for name, value in trainer.figures.items():
            self._client.log_metric(self.run_id_, name, value, step=step)

    def on_train_end(self, trainer):
        self._end_run("FINISHED")

    def on_error(self, trainer):
        if hasattr(self, "_client"):
            self._end_run("FAILED")

    def _end_run(self, status: str) -> None:
        if self._ends_run:
            self._client.set_terminated(self.run_id_, status)
        del self._client

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_client"}


class LayerStatistics(Callback):
    """Keeps the norms of the weights, the gradient and the update, for every epoch and layer.

    The gradient is that of the epoch's last step, before clipping.

    Attributes
    ----------
    layers_ : list of str
        Names of the layers with weights, from the bottom.
    statistics_ : dict of list
        One list for each epoch, with one number for each layer: "weight_norm", "gradient_norm",
        and "update_ratio", the norm of the last step divided by that of the weights.
    """

    def on_train_begin(self, trainer):
        if trainer.first_of_fit or not hasattr(self, "statistics_"):
            names = ("weight_norm", "gradient_norm", "update_ratio")
            self.statistics_: dict[str, list] = {name: [] for name in names}
        self.layers_ = [name for name, _ in _kernels(trainer.network)]
        self._before: list[np.ndarray] = []

    def on_epoch_begin(self, trainer):
        self._before = [p.value.copy() for _, p in _kernels(trainer.network)]

    def on_gradient(self, trainer):
        kernels = [p for _, p in _kernels(trainer.network)]
        if trainer.optimizer is not None:  # with L-BFGS, an epoch is one step
            self._before = [p.value.copy() for p in kernels]
        norms = [np.nan if p.grad is None else float(np.linalg.norm(p.grad)) for p in kernels]
        self.statistics_["gradient_norm"].append(norms)

    def on_epoch_end(self, trainer):
        norms, ratios = [], []
        for (_, p), before in zip(_kernels(trainer.network), self._before, strict=True):
            size = float(np.linalg.norm(before))
            norms.append(float(np.linalg.norm(p.value)))
            ratios.append(float(np.linalg.norm(p.value - before)) / size if size else np.nan)
        self.statistics_["weight_norm"].append(norms)
        self.statistics_["update_ratio"].append(ratios)

    def on_train_end(self, trainer):
        self._before = []


def _kernels(network) -> list:
    return [(name, p) for name, p in network.named_parameters() if p.kernel]
