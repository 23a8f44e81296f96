"""Processes that train together, and a client that is a trainer of `fit`."""

import copy
import multiprocessing
import traceback
from contextlib import contextmanager

import numpy as np

from skdeep.distributed.members.member import Control, Member, for_members
from skdeep.training.trainer import Trainer

TIMEOUT = 30.0


def serve(pipe):
    """Answer calls of functions until there is a call of None."""
    member = None
    while (call := pipe.recv()) is not None:
        name, args, options = call
        try:
            if name == "make":
                if member is not None:
                    member.close()
                member, answer = Member(*args), None
            elif name == "weights":
                answer = weights_of(member)
            else:
                answer = getattr(member, name)(*args, **options)
        except Exception as error:
            answer = error
            error.add_note(traceback.format_exc())
        pipe.send(answer)
    if member is not None:
        member.close()


def weights_of(member):
    """Return the values of all parameters of a member's network."""
    return member._trainer.network.parameters.values.copy()


class Local:
    """A member in this process."""

    def __init__(self):
        self.member = None

    def call(self, name, *args, **options):
        if name == "make":
            self.member, self.answer = Member(*args), None
            return
        if name == "weights":
            self.answer = weights_of(self.member)
            return
        args, options = copy.deepcopy((args, options))
        try:
            self.answer = getattr(self.member, name)(*args, **options)
        except Exception as error:
            self.answer = error

    def result(self):
        return copy.deepcopy(self.answer)

    def close(self):
        if self.member is not None:
            self.member.close()


class Remote:
    """A member in another process."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()

    def call(self, name, *args, **options):
        self.pipe.send((name, args, options))

    def result(self):
        return self.pipe.recv()

    def close(self):
        self.pipe.send(None)
        self.process.join()


class Fleet:
    """Members, and the calls of all of them."""

    def __init__(self, n_members):
        self.members = [Local()] if n_members == 1 else [Remote() for _ in range(n_members)]

    def __len__(self):
        return len(self.members)

    def call(self, name, *args, each=None, **options):
        """Call all members at a time; return their results. `each` has own arguments for each.

        Sets: `answers`, with the errors of members. The error behind all others is raised.
        """
        for i, member in enumerate(self.members):
            own = () if each is None else each[i]
            member.call(name, *own, *args, **options)
        self.answers = [member.result() for member in self.members]
        errors = [answer for answer in self.answers if isinstance(answer, Exception)]
        if errors:
            raise min(errors, key=lambda error: isinstance(error, ConnectionError))
        return self.answers

    def hold(self, chunks, starts, n_rows):
        """Give each member its chunks, and connect the members."""
        self.call("make", n_rows, each=list(zip(chunks, starts, strict=True)))
        addresses = self.call("listen")
        ranks = [(i,) for i in range(len(self))]
        self.call("join", addresses, "a secret", TIMEOUT, each=ranks)

    def close(self):
        for member in self.members:
            member.close()


def cut(X, sizes):
    """Return the chunks of X with these sizes for each member, and their starts.

    `sizes` is a list of (member, number of rows); the last number may be None.
    """
    n_members = 1 + max(member for member, _ in sizes)
    chunks, starts = [[] for _ in range(n_members)], [[] for _ in range(n_members)]
    start = 0
    for member, n in sizes:
        stop = X.shape[0] if n is None else start + n
        chunks[member].append(X[start:stop])
        starts[member].append(start)
        start = stop
    assert start == X.shape[0]
    return chunks, starts


def positions_of(chunks, starts):
    parts = [np.arange(s, s + c.shape[0]) for c, s in zip(chunks, starts, strict=True)]
    return np.concatenate(parts)


class Client(Trainer):
    """A trainer whose epochs are done by a fleet."""

    fleet = None
    sizes = None
    options = {}
    sent = None

    def train_epoch(self, batches):
        if self.epoch == 0:
            self._begin(batches)
        return self.train_part(batches)

    def train_part(self, batches, until=None):
        """Let the members train up to a batch of the epoch."""
        fleet = self.fleet
        states = fleet.call("train_epoch", Control.of(self, self.sent), until)
        assert all(state is None for state in states[1:])
        if self.outputs is not None:
            Z = np.full((batches.X.shape[0], self.network.n_outputs), np.nan)
            for positions, own in fleet.call("outputs_of_epoch"):
                Z[positions] = own
            self.outputs.take(Z if batches.rows is None else Z[batches.rows])
            self.outputs._batches = None
        self.sent = states[0].values
        return states[0].give(self)

    def _measure_statistics(self):
        values = self.network.parameters.values
        found = self.fleet.call("measure_statistics", values.copy())
        assert all(np.array_equal(other, found[0]) for other in found)
        np.copyto(values, found[0])

    def _begin(self, batches):
        X = batches.X
        chunks, starts = cut(X, self.sizes)
        self.fleet.hold(chunks, starts, X.shape[0])
        own = [positions_of(*pair) for pair in zip(chunks, starts, strict=True)]
        weight = batches.weight
        each = [
            (
                *for_members(self.run, self.settings),
                batches.targets.take(rows),
                None if weight is None else weight[rows],
            )
            for rows in own
        ]
        self.fleet.call(
            "begin",
            batches.batch_size,
            each=each,
            shuffle=batches.rng is not None,
            sparse=batches.stays_sparse,
            rows=batches.rows,
            keeps_outputs=self.outputs is not None,
            **self.options,
        )


@contextmanager
def training_on(monkeypatch, fleet, sizes, **options):
    """Let `fit` train on a fleet."""
    with monkeypatch.context() as patch:
        patch.setattr("skdeep.estimators.run.Trainer", Client)
        patch.setattr(Client, "fleet", fleet)
        patch.setattr(Client, "sizes", sizes)
        patch.setattr(Client, "options", options)
        yield
