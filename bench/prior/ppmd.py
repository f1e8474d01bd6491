"""PPMd, variant H (that of 7z), as a model of text: what it needs for held-out passages after the training passages.

Each passage ends with a byte that UTF-8 never has, as ours ends with a symbol of its own.
"""

import os
import random

import pyppmd

END = b"\xff"
# Memory that it does not fill here; where it does, it forgets everything and begins anew.
LARGE_BYTES = 1 << 30
# What is tried in little memory, and in so much.
ORDERS, LARGE_ORDERS = [3, 4, 5, 6, 8], [6, 8, 10, 12, 16, 24]
# Training passages whose order is another one before each passage that is coded alone.
TAIL = 8


def stream(passages: list[bytes]) -> bytes:
    """Passages, each with its end."""
    return b"".join(passage + END for passage in passages)


def adaptive_bits(train: list[bytes], held_out: list[bytes], order: int, memory_bytes: int = LARGE_BYTES) -> float:
    """Bits a byte where the model goes on learning from what is held out."""
    encoder = pyppmd.Ppmd7Encoder(order, memory_bytes)
    encoder.encode(END + stream(train))
    length = len(encoder.encode(stream(held_out)))
    return 8 * length / sum(len(passage) for passage in held_out)


def alone_bits(train: list[bytes], held_out: list[bytes], order: int, memory_bytes: int = LARGE_BYTES) -> float:
    """Bits a byte where each passage is coded by a model that has read the training passages and no other.

    The state of the encoder is copied by forking. It puts out whole bytes; so that these are not rounded the same way
    each time, the last training passages come in another order each time.
    """
    encoder = pyppmd.Ppmd7Encoder(order, memory_bytes)
    encoder.encode(END + stream(train[:-TAIL]))
    total = 0
    for index, passage in enumerate(held_out):
        tail = random.Random(index).sample(train[-TAIL:], TAIL)
        reader, writer = os.pipe()
        if os.fork() == 0:
            encoder.encode(stream(tail))
            length = len(encoder.encode(passage + END))
            os.write(writer, length.to_bytes(8, "little"))
            os._exit(0)
        os.close(writer)
        total += int.from_bytes(os.read(reader, 8), "little")
        os.close(reader)
        os.wait()
    return 8 * total / sum(len(passage) for passage in held_out)
