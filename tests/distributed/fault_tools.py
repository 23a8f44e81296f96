"""Parts that let workers fail in the middle of a step; worker processes import this module."""

import gc
import os
import signal
import threading
import time

from skdeep.callbacks import Callback
from skdeep.distributed.members.ring import Ring
from skdeep.training.stages import GradientStage


class Fault(GradientStage):
    """Sends a signal to its own process in a step, once for each file that it can make.

    Of all members, the one that makes the file gets the signal.
    """

    def __init__(self, step, files, name="SIGKILL"):
        self.step, self.files, self.name = step, files, name
        self.n_steps = 0

    def apply(self, gradient, step):
        self.n_steps += 1
        if self.n_steps != self.step:
            return
        for path in self.files:
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            os.kill(os.getpid(), getattr(signal, self.name))
            time.sleep(0.1)
            return


class Slow(GradientStage):
    """Lets every step take some time."""

    def __init__(self, seconds):
        self.seconds = seconds

    def apply(self, gradient, step):
        time.sleep(self.seconds)


class Breaks(GradientStage):
    """Raises an error on one member."""

    def __init__(self, path):
        self.path = path

    def apply(self, gradient, step):
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        raise ArithmeticError("this stage is broken")


class WithStages(Callback):
    """A callback with gradient stages, which run on the workers."""

    def __init__(self, stages):
        self.stages = stages

    def gradient_stages(self):
        return self.stages


class AtEpoch(Callback):
    """Calls a function before an epoch."""

    def __init__(self, epoch, function):
        self.epoch, self.function = epoch, function

    def on_epoch_begin(self, trainer):
        if trainer.epoch == self.epoch:
            self.function()


def left_on_worker(dask_worker):
    """Return what skdeep has left behind on a worker."""
    gc.collect()
    rings = [o for o in gc.get_objects() if isinstance(o, Ring) and not o.is_closed]
    threads = [t.name for t in threading.enumerate() if t.name.startswith("skdeep")]
    return list(dask_worker.state.actors), list(dask_worker.data), threads, len(rings)
