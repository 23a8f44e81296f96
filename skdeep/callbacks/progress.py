"""What `verbose` shows: a line an epoch, or a bar that moves."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec

from skdeep.callbacks.base import Callback

# Of a bar. A terminal shows no more, and writing to it costs time.
SECONDS_BETWEEN_REFRESHES = 0.1
# Asking for the time is not free either: it is done every so many steps.
STEPS_BETWEEN_LOOKS = 8


class PrintEpochs(Callback):
    """Prints an aligned line after every epoch."""

    def on_epoch_end(self, trainer):
        width = len(str(trainer.horizon))
        print(f"Iteration {trainer.epoch:{width}d}, {describe(trainer.figures)}", flush=True)


def describe(figures: dict[str, float]) -> str:
    """Return the figures of an epoch as text, of one width in every epoch."""
    parts = [f"loss = {figures['loss']:.8f}"]
    parts += [
        f"{name} = {figures[name]:.6f}" for name in ("val_loss", "val_score") if name in figures
    ]
    return ", ".join(
        [*parts, f"rate = {figures['learning_rate']:.3e}", f"{figures['seconds']:.2f} s"]
    )


class ProgressBar(Callback):
    """Shows a bar, in a terminal; elsewhere it prints lines, as there a bar would be one mess.

    With rich or tqdm, whichever is installed, else plainly.
    """

    def on_train_begin(self, trainer):
        self._lines = None if sys.stdout.isatty() else PrintEpochs()
        self._bar = None
        if self._lines is None:
            self._bar = _make_bar(trainer.horizon)
        self._n_steps, self._next = 0, 0.0

    def on_batch_end(self, trainer):
        self._n_steps += 1
        if self._bar is None or self._n_steps % STEPS_BETWEEN_LOOKS:
            return
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN_REFRESHES
            done = min(1.0, self._n_steps / trainer.n_batches)
            self._bar.show(trainer.epoch + done, None)

    def on_epoch_end(self, trainer):
        self._n_steps = 0
        if self._lines is not None:
            self._lines.on_epoch_end(trainer)
            return
        now = time.perf_counter()
        if now >= self._next or trainer.epoch == trainer.horizon:
            self._next = now + SECONDS_BETWEEN_REFRESHES
            self._bar.show(trainer.epoch, describe(trainer.figures))

    def on_train_end(self, trainer):
        if self._bar is not None and trainer.figures:
            self._bar.show(trainer.epoch, describe(trainer.figures))
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


class _PlainBar:
    """A bar of characters, drawn over itself."""

    width = 30

    def __init__(self, n_epochs: int):
        self.n_epochs = n_epochs
        self.text = ""

    def show(self, epochs: float, text: str | None) -> None:
        self.text = self.text if text is None else text
        filled = int(self.width * epochs / self.n_epochs)
        bar = "#" * filled + "." * (self.width - filled)
        sys.stdout.write(f"\r[{bar}] {int(epochs)}/{self.n_epochs} {self.text}\x1b[K")
        sys.stdout.flush()

    def close(self) -> None:
        sys.stdout.write("\n")


class _TqdmBar:
    def __init__(self, n_epochs: int):
        from tqdm.auto import tqdm

        shown = "{l_bar}{bar}| {n:.0f}/{total} [{elapsed}<{remaining}]{postfix}"
        self.bar = tqdm(total=n_epochs, file=sys.stdout, bar_format=shown, mininterval=0)

    def show(self, epochs: float, text: str | None) -> None:
        if text is not None:
            self.bar.set_postfix_str(text, refresh=False)
        self.bar.n = epochs
        self.bar.refresh()

    def close(self) -> None:
        self.bar.close()


class _RichBar:
    def __init__(self, n_epochs: int):
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.completed:.0f}/{task.total}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            auto_refresh=False,
        )
        self.task = self.progress.add_task("", total=n_epochs)
        self.progress.start()

    def show(self, epochs: float, text: str | None) -> None:
        more = {} if text is None else {"description": text}
        self.progress.update(self.task, completed=epochs, refresh=True, **more)

    def close(self) -> None:
        self.progress.stop()
