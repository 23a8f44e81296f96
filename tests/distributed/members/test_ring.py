"""Rings of threads: sums, and the errors of neighbours that are lost, silent or out of step."""

import hashlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from skdeep.distributed.members import ring as module
from skdeep.distributed.members.memory import SharedVectors
from skdeep.distributed.members.ring import Ring, address_of, listen

TOKEN = "a secret"
TIMEOUT = 20.0


def join(n, host="127.0.0.1", timeout=TIMEOUT, contexts=None):
    """Return the members of a ring of n."""
    listeners = [listen(host) for _ in range(n)]
    addresses = [address_of(listener) for listener in listeners]
    with ThreadPoolExecutor(n) as threads:
        jobs = [
            threads.submit(Ring, i, addresses, listener, TOKEN, timeout, contexts)
            for i, listener in enumerate(listeners)
        ]
        return [job.result() for job in jobs]


def together(*calls):
    """Call functions in threads of their own; return the results, or the errors raised."""
    with ThreadPoolExecutor(len(calls)) as threads:
        jobs = [threads.submit(call) for call in calls]
        return [job.exception() or job.result() for job in jobs]


@pytest.fixture
def make_ring():
    """Return `join`; the rings are closed after the test."""
    members = []

    def make(*args, **options):
        members.extend(ring := join(*args, **options))
        return ring

    yield make
    for member in members:
        member.close()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_every_member_gets_the_bits_of_the_sum(make_ring, n, dtype):
    ring, rng = make_ring(n), np.random.default_rng(n)
    per_member = module.SMALL // np.dtype(dtype).itemsize
    for size in (0, 1, 2, 7, per_member, per_member + 1, 3 * per_member + 2, 1_000_003):
        given = rng.standard_normal((n, size)).astype(dtype)
        vectors = given.copy()
        assert (
            together(*[partial(m.sum, v) for m, v in zip(ring, vectors, strict=True)]) == [None] * n
        )
        assert all(vector.tobytes() == vectors[0].tobytes() for vector in vectors)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(vectors[0], given.sum(axis=0), rtol=0, atol=50 * eps)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is shared on Linux only")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_sums_in_shared_memory(make_ring, n, dtype):
    ring, rng = make_ring(n), np.random.default_rng(n)
    for size in (1, n, 7, 10_007):
        shared = together(*[partial(SharedVectors, member, size, dtype) for member in ring])
        assert all(vectors.is_complete and not vectors.own.any() for vectors in shared)
        given = rng.standard_normal((20, n, size)).astype(dtype)
        found = np.empty_like(given)

        def add_up(i, shared=shared, given=given, found=found):
            for k in range(len(given)):  # without a pause, so that fast members overtake slow ones
                shared[i].own[:] = given[k, i]
                shared[i].sum()
                found[k, i] = shared[i].own

        assert together(*[partial(add_up, i) for i in range(n)]) == [None] * n
        assert (found == found[:, :1]).all()
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(found[:, 0], given.sum(axis=1), rtol=0, atol=50 * eps)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_gather(make_ring, n):
    ring, vectors = make_ring(n), np.random.default_rng(0).standard_normal((n, 1000))
    for found in together(*[partial(m.gather, v) for m, v in zip(ring, vectors, strict=True)]):
        np.testing.assert_array_equal(found, vectors)


def test_calls_of_different_sizes_follow_one_another(make_ring):
    ring = make_ring(3)

    def work(member):
        total = 0.0
        for i in range(300):
            vector = np.full(1 + i % 7 * 1000, 1.0 + member.rank)
            member.sum(vector)
            total += vector.sum() / vector.size
        return total

    assert together(*[partial(work, member) for member in ring]) == [300 * 6.0] * 3


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(make_ring):
    try:
        ring = make_ring(2, "::1")
    except OSError:
        pytest.skip("this machine has no address of IPv6")
    vectors = np.ones((2, 5))
    together(*[partial(m.sum, v) for m, v in zip(ring, vectors, strict=True)])
    np.testing.assert_array_equal(vectors, 2)
    assert "[::1]:" in ring[0].name_of(1)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_member_that_is_gone_is_named_at_once(make_ring, n, size):
    ring = make_ring(n)
    ring[-1].close()
    start = time.monotonic()
    errors = together(*[partial(m.sum, np.ones(size)) for m in ring])
    assert time.monotonic() - start < TIMEOUT / 2
    assert all(isinstance(error, ConnectionError) for error in errors)
    assert f"Member 0 has lost the connection to {ring[0].name_of(n - 1)}" in str(errors[0])
    assert str(errors[-1]) == f"The ring of member {n - 1} is closed."
    assert all(member.is_closed for member in ring)


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_silent_member_is_named_after_the_timeout(make_ring, size):
    ring = make_ring(2, timeout=0.3)
    with pytest.raises(TimeoutError) as caught:
        ring[0].sum(np.ones(size))
    assert str(caught.value) == (
        f"{ring[0].name_of(1)} has sent nothing for 0.3 seconds; member 0 waits for it."
    )


def test_a_member_that_is_slow_but_not_silent_is_waited_for(make_ring):
    ring = make_ring(3, timeout=1.0)

    def work(member):
        for _ in range(4):
            if member.rank == 1:
                time.sleep(0.5)
            member.sum(np.ones(100_000))

    assert together(*[partial(work, member) for member in ring]) == [None] * 3


def test_close_wakes_a_call_in_another_thread(make_ring):
    ring = make_ring(2)
    threading.Timer(0.2, ring[0].close).start()
    with pytest.raises(ConnectionError, match="this member has closed its ring"):
        ring[0].sum(np.ones(10))
    ring[0].close()  # again
    with pytest.raises(ConnectionError, match=r"The ring of member 0 is closed\."):
        ring[0].sum(np.ones(10))


def test_members_that_are_out_of_step(make_ring):
    ring = make_ring(2)
    calls = [partial(ring[0].sum, np.ones(10)), partial(ring[1].sum, np.ones(1000))]
    errors = together(*calls)
    assert any("out of step" in str(error) and "8000 bytes" in str(error) for error in errors)
    assert all(isinstance(error, (RuntimeError, ConnectionError)) for error in errors)


def test_strangers_are_left(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    listeners = [listen() for _ in range(2)]
    addresses = [address_of(listener) for listener in listeners]
    strangers = [socket.create_connection(addresses[0]) for _ in range(4)]
    strangers[1].sendall(b"GET / HTTP/1.1\r\nHost: somebody who can't know\r\n\r\n" * 2)
    strangers[2].close()
    secret = hashlib.sha256(b"another secret").digest()
    strangers[3].sendall(module._HELLO.pack(module._GREETING, 1, 2, secret))
    make = partial(Ring, addresses=addresses, token=TOKEN, timeout=TIMEOUT)
    ring = together(*[partial(make, i, listener=x) for i, x in enumerate(listeners)])
    vectors = np.ones((2, 5))
    together(*[partial(m.sum, v) for m, v in zip(ring, vectors, strict=True)])
    np.testing.assert_array_equal(vectors, 2)
    for peer in (*strangers, *ring):
        peer.close()


def test_another_token_or_number_of_members_does_not_connect():
    for tokens, n_claimed in ((("one", "two"), (2, 2)), ((TOKEN, TOKEN), (2, 3))):
        listeners = [listen() for _ in range(2)]
        addresses = [address_of(listener) for listener in listeners]
        calls = [
            partial(Ring, i, addresses + addresses[:1] * (n_claimed[i] - 2), x, tokens[i], 0.5)
            for i, x in enumerate(listeners)
        ]
        errors = together(*calls)
        assert all(isinstance(error, (ConnectionError, TimeoutError)) for error in errors)


def test_a_member_that_does_not_come_is_named():
    listeners = [listen() for _ in range(2)]
    addresses = [address_of(listener) for listener in listeners]
    with pytest.raises(TimeoutError, match=r"member 1 at 127.0.0.1:\d+ has not answered"):
        Ring(0, addresses, listeners[0], TOKEN, 0.3)
    listeners[1].close()
    again = listen()
    with pytest.raises(ConnectionError, match="Member 0 can't reach member 1 at"):
        Ring(0, [address_of(again), addresses[1]], again, TOKEN, 5.0)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Contexts of TLS, with a certificate of their own."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=skdeep"]
    subprocess.run(
        [openssl, *command, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    begins = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=certificate)
    begins.check_hostname = False
    accepts = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    accepts.verify_mode = ssl.CERT_REQUIRED
    for context in (begins, accepts):
        context.load_cert_chain(certificate, key)
    return begins, accepts


@pytest.mark.parametrize("n", [2, 3])
def test_encrypted_rings(make_ring, contexts, n):
    ring = make_ring(n, contexts=contexts)
    for size in (3, 1_000_000):
        vectors = np.random.default_rng(0).standard_normal((n, size))
        expected = vectors.sum(axis=0)
        together(*[partial(m.sum, v) for m, v in zip(ring, vectors, strict=True)])
        assert all(vector.tobytes() == vectors[0].tobytes() for vector in vectors)
        np.testing.assert_allclose(vectors[0], expected, atol=1e-12)
    ring[0].close()
    errors = together(*[partial(m.sum, np.ones(10)) for m in ring])
    assert all(isinstance(error, ConnectionError) for error in errors)


def test_a_stranger_without_a_certificate_is_left(make_ring, contexts):
    listener = listen()
    addresses = [address_of(listener), ("127.0.0.1", 1)]
    socket.create_connection(addresses[0]).close()
    with pytest.raises(ConnectionError, match="can't reach member 1"):
        Ring(0, addresses, listener, TOKEN, TIMEOUT, contexts)
