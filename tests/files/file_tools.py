"""Files of models, taken apart and put together again."""

import hashlib

from skdeep.files.container import HASH_BYTES, LENGTHS


def parts_of(data):
    """Return (header, body) of a file."""
    start = LENGTHS.size + HASH_BYTES
    _, _, n_header, _ = LENGTHS.unpack_from(data)
    return data[start : start + n_header], data[start + n_header :]


def sealed(header, body, version=1):
    """Return a file with a right checksum."""
    lengths = LENGTHS.pack(b"\x93skdeep\n", version, len(header), len(body))
    return lengths + hashlib.sha256(lengths + header + body).digest() + header + body
