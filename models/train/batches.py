"""Endless training batches, generated and tokenized by other processes while the GPU works.

Every conversation is seen once. Rows of one batch have one length; the number of
tokens is the same for all batches. The sequence of batches depends on the seed only.

    workers (conversations → token ids)  →  assembler (batches)  →  whoever trains
"""

import contextlib
import multiprocessing
import os
import pathlib
import queue
import random
import threading

import numpy as np
from tokenizers import Tokenizer

import problems

# Each divides 2**14 * 3, so that a batch of so many tokens is filled by whole rows.
LENGTHS = (128, 192, 256, 384, 512, 768, 1024)

CONVERSATIONS_PER_SHARD = 1000
SHARDS_AHEAD = 64
BATCHES_AHEAD = 64

_worker = {}


def _start_worker(model, tokenizer_file):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are parallel enough
    _worker["model"] = model
    _worker["tokenizer"] = Tokenizer.from_file(tokenizer_file)


def encode(tokenizer, segments):
    """(ids, learned): one row, segment after segment."""
    ids, learned = [], []
    for text, is_learned in segments:
        encoded = tokenizer.encode(text, add_special_tokens=False).ids
        ids += encoded
        learned += [is_learned] * len(encoded)
    return ids, learned


def _shard(seed):
    """{length: (ids, labels)}: the shard's conversations, padded to the lengths of rows."""
    rng = random.Random(seed)
    rows = {length: [] for length in LENGTHS}
    for _ in range(CONVERSATIONS_PER_SHARD):
        ids, learned = encode(_worker["tokenizer"], problems.segments(rng, _worker["model"]))
        if len(ids) <= LENGTHS[-1] + 1:
            rows[next(size for size in LENGTHS if len(ids) <= size + 1)].append((ids, learned))
    return {length: _pad(some, length) for length, some in rows.items() if some}


def _pad(rows, length):
    """inputs and labels, int16 [rows, length]; a label of -1 is not learned."""
    inputs = np.zeros((len(rows), length), np.int16)
    labels = np.full((len(rows), length), -1, np.int16)
    for index, (ids, learned) in enumerate(rows):
        inputs[index, :len(ids) - 1] = ids[:-1]
        labels[index, :len(ids) - 1] = np.where(learned[1:], ids[1:], -1)
    return inputs, labels


def _assemble(model, tokenizer_file, tokens_per_batch, seed, workers, ready, stop):
    room = threading.Semaphore(SHARDS_AHEAD)

    def seeds():
        index = 0
        while not stop.is_set():
            room.acquire()
            yield f"{model} {seed} {index}"
            index += 1

    waiting = {length: [] for length in LENGTHS}  # of (inputs, labels)
    pool = multiprocessing.get_context("spawn").Pool(workers, _start_worker, (model,
                                                                              tokenizer_file))
    for shard in pool.imap(_shard, seeds()):
        room.release()
        for length, part in shard.items():
            waiting[length].append(part)
            num_rows = tokens_per_batch // length
            while sum(len(inputs) for inputs, _ in waiting[length]) >= num_rows:
                both = [np.concatenate(arrays) for arrays in zip(*waiting[length])]
                waiting[length] = [tuple(array[num_rows:] for array in both)]
                while not stop.is_set():
                    with contextlib.suppress(queue.Full):
                        ready.put(tuple(array[:num_rows] for array in both), timeout=0.2)
                        break
        if stop.is_set():
            break
    ready.cancel_join_thread()
    room.release(1000)  # wakes the pool's thread that asks for seeds, so that it can end
    pool.terminate()


def batches(model, folder, tokens_per_batch, seed, workers):
    """Yields (inputs, labels), int16 [rows, length]. Close the generator when done."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Queue(BATCHES_AHEAD), context.Event()
    file = str(pathlib.Path(folder) / "tokenizer.json")
    assembler = context.Process(target=_assemble, args=(model, file, tokens_per_batch, seed,
                                                        workers,
                                                        ready, stop))
    assembler.start()
    try:
        while True:
            yield ready.get()
    finally:
        stop.set()
        ready.cancel_join_thread()
        assembler.join(20)
