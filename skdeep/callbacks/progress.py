"""The callbacks of `verbose`: a line for each epoch, or a progress bar."""

from __future__ import annotations

import math
import shutil
import sys
import time
from importlib.util import find_spec

from skdeep.callbacks.base import Callback

# Of a progress bar. More refreshes would not be seen, and writing to a terminal costs time.
SECONDS_BETWEEN_REFRESHES = 0.1
# The clock costs time too, so the bar reads it once in this number of steps.
STEPS_BETWEEN_LOOKS = 8
_IN_OTHER_FORMS = ("loss", "learning_rate", "seconds")


class PrintEpochs(Callback):
    """Prints an aligned line after every epoch."""

    def on_epoch_end(self, trainer):
        width = len(str(trainer.horizon))
        print(f"Iteration {trainer.epoch_of_run:{width}d}, {describe(shown(trainer))}", flush=True)


def shown(trainer) -> dict[str, float]:
    """Return the figures of an epoch that are shown: those of the course of training are not."""
    hidden = {"gradient_norm", *trainer.settings.numbers}
    return {name: value for name, value in trainer.figures.items() if name not in hidden}


def describe(figures: dict[str, float], room: float = math.inf) -> str:
    """Return the figures of an epoch as text, which has equal width in every epoch.

    If there is less room, the text has fewer figures, and fewer digits of the loss.
    """
    parts = [f"loss = {figures['loss']:.8f}"]
    parts += [
        f"{name} = {value:.6f}" for name, value in figures.items() if name not in _IN_OTHER_FORMS
    ]
    parts += [f"rate = {figures['learning_rate']:.3e}", f"{figures['seconds']:.2f} s"]
    while len(parts) > 1 and len(", ".join(parts)) > room:
        parts.pop()
    if len(parts) == 1 and len(parts[0]) > room:
        parts = [f"{figures['loss']:.4g}"]
    return ", ".join(parts)


class ProgressBar(Callback):
    """Shows a progress bar in a terminal, and prints lines elsewhere.

    The bar is that of rich or tqdm, if one of them is installed, else a bar of plain characters.
    """

    def on_train_begin(self, trainer):
        self._lines = None if sys.stdout.isatty() else PrintEpochs()
        self._bar = None
        if self._lines is None:
            self._bar = _make_bar(trainer.horizon)
        self._n_steps, self._next = trainer.batches_done, 0.0

    def on_batch_end(self, trainer):
        self._n_steps += 1
        if self._bar is None or self._n_steps % STEPS_BETWEEN_LOOKS:
            return
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN_REFRESHES
            done = min(1.0, self._n_steps / trainer.n_batches)
            self._bar.show(trainer.epoch_of_run + done, None)

    def on_epoch_end(self, trainer):
        self._n_steps = 0
        if self._lines is not None:
            self._lines.on_epoch_end(trainer)
            return
        now = time.perf_counter()
        if now >= self._next or trainer.epoch_of_run == trainer.horizon:
            self._next = now + SECONDS_BETWEEN_REFRESHES
            self._bar.show(trainer.epoch_of_run, shown(trainer))

    def on_train_end(self, trainer):
        if self._bar is not None and trainer.figures:
            self._bar.show(trainer.epoch_of_run, shown(trainer))
        self.on_error(trainer)

    def on_error(self, trainer):
        if getattr(self, "_bar", None) is not None:
            self._bar.close()
        self._bar = None

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_bar"}


def _make_bar(n_epochs: int):
    if find_spec("rich") is not None:
        return _RichBar(n_epochs)
    if find_spec("tqdm") is not None:
        return _TqdmBar(n_epochs)
    return _PlainBar(n_epochs)


# In a terminal with fewer columns, the bar takes a fifth of the line, and no times are shown.
NARROW = 80


def _length_of_bar(columns: int) -> int:
    return 30 if columns >= NARROW else columns // 5


class _PlainBar:
    """A bar of plain characters, drawn over itself."""

    def __init__(self, n_epochs: int):
        self.n_epochs = n_epochs
        self.figures: dict[str, float] = {}

    def show(self, epochs: float, figures: dict[str, float] | None) -> None:
        self.figures = figures or self.figures
        columns = shutil.get_terminal_size().columns
        length = _length_of_bar(columns)
        filled = int(length * epochs / self.n_epochs)
        line = f"[{'#' * filled}{'.' * (length - filled)}] {int(epochs)}/{self.n_epochs} "
        if self.figures:
            line += describe(self.figures, columns - len(line) - 1)
        sys.stdout.write(f"\r{line[: columns - 1]}\x1b[K")
        sys.stdout.flush()

    def close(self) -> None:
        sys.stdout.write("\n")


class _TqdmBar:
    def __init__(self, n_epochs: int):
        from tqdm.auto import tqdm

        columns = shutil.get_terminal_size().columns
        times = " [{elapsed}<{remaining}]" if columns >= NARROW else ""
        length = _length_of_bar(columns)
        shown = f"{{bar:{length}}} {{n:.0f}}/{{total}}{times}{{postfix}}"
        self.room = columns - length - 2 * len(str(n_epochs)) - (20 if times else 6)
        self.bar = tqdm(total=n_epochs, file=sys.stdout, bar_format=shown, mininterval=0)

    def show(self, epochs: float, figures: dict[str, float] | None) -> None:
        if figures is not None:
            self.bar.set_postfix_str(describe(figures, self.room), refresh=False)
        self.bar.n = epochs
        self.bar.refresh()

    def close(self) -> None:
        self.bar.close()


class _RichBar:
    def __init__(self, n_epochs: int):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        columns = shutil.get_terminal_size().columns
        length = _length_of_bar(columns)
        times = [TimeRemainingColumn()] if columns >= NARROW else []
        self.room = columns - length - 2 * len(str(n_epochs)) - (12 if times else 4)
        self.progress = Progress(
            TextColumn("{task.completed:.0f}/{task.total}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=length),
            *times,
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            console=Console(),  # the shared console keeps the width that it began with
            auto_refresh=False,
        )
        self.task = self.progress.add_task("", total=n_epochs)
        self.progress.start()

    def show(self, epochs: float, figures: dict[str, float] | None) -> None:
        more = {} if figures is None else {"description": describe(figures, self.room)}
        self.progress.update(self.task, completed=epochs, refresh=True, **more)

    def close(self) -> None:
        self.progress.stop()
