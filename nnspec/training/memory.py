"""How many bytes training takes and leaves: every size in one place. Pure; no torch.

P weights, L layers, n rows of data, T rows of the history, S snapshots; an item is a number of the spec's precision.
What is said of a column is said of a network as it lies in the trainer's arrays: where the network axis comes last,
columns fill whole lanes. The factors were measured by ``benchmarks/memory.py``, which also shows what they amount to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from nnspec.architecture import architecture, rows, test_rows
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import batch_size, pace, updates
from nnspec.problem import own_rows
from nnspec.specs import RunSpec
from nnspec.training.layout import LANE, in_lanes, is_module, on_card, padded, parts, why_single
from nnspec.training.spans import logged_rows, why_eager

BLOCK = 256  # rows of the history that are written before they are put in their place
WEIGHTS = 6  # arrays of all weights: initial, present, gradients, scratch, products, and a copy on the way in and out
# more of the weights and of each slot of the state, while compiled code is on trial: those before it and those after
COMPILED = 2
# on a card: weights, gradients, scratch, those before an update, and two that are put together of both; coefficients of
# the optimizer for one update and for some ahead, three at most; the values of a recorded update and of a look
CARD_WEIGHTS, CARD_COEFFICIENTS, CARD_PASSES = 6, 3 * 17, 2
COPIES = 5  # of the weights of a network that trains by itself, besides the optimizer's state
# of a module: more copies of the weights; of each value of a row in training; of each output at a look
GRADIENTS, PASSED, LOOKED = 3, 3, 4
MOST_ROWS, WHOLE = 256, 16  # rows of a kernel's block: at most, so that they stay in the cache, and a multiple of
FORMULA = 6  # arrays that a formula makes on the way, for the widest layer
OUTPUT = 10  # arrays of the outputs: loss, its gradient, distances
# numbers of the diagnosis at the start and the end of training, besides two or three a layer; at the end only
PROBES, ENDS = (9, 8)
TEXTS = 17  # bytes of a verdict and of what tells a row from others, in a row of a file
CELL_FILES = 8_000  # bytes of a cell's files besides its numbers
LARGE_CELL = 2_000_000  # bytes of a cell's results beyond which its files are made one by one
PASSING = 2  # trained chunks that the parent holds: one comes in, and cells of another wait to be filed
OBJECTS = 16_000  # bytes of a cell's Python objects


def item_bytes(spec: RunSpec) -> int:
    """Bytes of a number."""
    return 4 if spec.dtype == "float32" else 8


def snapshots(spec: RunSpec) -> int:
    """Sets of weights that are kept on the way."""
    every = spec.train.snapshot_every
    return updates(spec) // every + 1 if every else 0


def hot_bytes(spec: RunSpec) -> int:
    """What every update of one column reads or writes: the weights, their gradients, the optimizer's state, the layers'
    values."""
    shape, item = architecture(spec), item_bytes(spec)
    return item * (5 * shape.parameters + 4 * batch_size(spec) * shape.values)


def column_bytes(spec: RunSpec, compiled: bool) -> int:
    """What one column takes while it trains."""
    shape, item, slots = architecture(spec), item_bytes(spec), _slots(spec)
    temporaries = OPTIMIZERS[spec.optimizer.name].temporaries
    weights = WEIGHTS + slots + temporaries + (COMPILED * (1 + slots) if compiled else 0)
    block = min(logged_rows(pace(spec)), BLOCK) * row_bytes(spec)
    return item * (weights * shape.parameters + rows(spec.data) * _values(spec)) + block


def card_bytes(spec: RunSpec) -> int:
    """What a network takes of a graphics card while it trains there. Worked out, not measured."""
    shape, item, size = architecture(spec), item_bytes(spec), batch_size(spec)
    weights = CARD_WEIGHTS + _slots(spec) + OPTIMIZERS[spec.optimizer.name].temporaries
    passed = CARD_PASSES * max(rows(spec.data), test_rows(spec.data)) * _values(spec)
    order = 0
    if size < rows(spec.data):  # an order of rows, and a copy of the batch's
        order = 2 * 8 * rows(spec.data) + item * size * (shape.inputs + shape.outputs)
    own = item * (rows(spec.data) + test_rows(spec.data)) * (shape.inputs + shape.outputs) if own_rows(spec) else 0
    block = min(logged_rows(pace(spec)), BLOCK) * row_bytes(spec)
    return item * (weights * shape.parameters + passed + CARD_COEFFICIENTS) + order + own + block


def _slots(spec: RunSpec) -> int:
    """Numbers that the optimizer keeps of each weight."""
    optimizer = OPTIMIZERS[spec.optimizer.name]
    return optimizer.slots(optimizer.hyperparameters(dict(spec.optimizer.params)))


def _values(spec: RunSpec) -> int:
    """Numbers that a forward and backward pass holds for each row of data."""
    dense = architecture(spec).dense
    widest = max(layer.fan_out for layer in dense)
    outs = sum(layer.fan_out for layer in dense)
    scratch = sum(max(layer.fan_in, layer.fan_out) for layer in dense[1:])
    return (
        outs + scratch + 2 * sum(layer.fan_out for layer in dense[:-1]) + FORMULA * widest + OUTPUT * dense[-1].fan_out
    )


def block_rows(count: int) -> int:
    """Of so many rows those that a kernel takes at a time: all, or equal parts of them, in whole vectors."""
    even = -(-count // -(-count // MOST_ROWS))
    return -(-even // WHOLE) * WHOLE


def part_rows(count: int, parts: int, block: int) -> int:
    """Of so many rows those of a part of them, the last of which may have fewer: whole blocks of ``block`` rows."""
    return -(-count // (parts * block)) * block


def multiplications(spec: RunSpec) -> float:
    """Multiplications of the training of one network, about: forward, and two products backward."""
    return 3.0 * architecture(spec).multiplications * rows(spec.data) * spec.train.epochs


def own_bytes(spec: RunSpec) -> int:
    """What one of the networks takes that train one after another: its weights as they were and are, copies on the way
    in and out, and the optimizer's state; its order of rows; with ``data.split=per_network`` its data."""
    own = _data_bytes(spec) if dict(spec.data.params).get("split") == "per_network" else 0
    copies, passed = COPIES + _slots(spec), 0
    if is_module(spec):  # the optimizer moves all of them at once
        copies += GRADIENTS + OPTIMIZERS[spec.optimizer.name].temporaries
        passed = 0 if why_single(spec) else _passed(spec)
    weights = copies * architecture(spec).parameters
    return item_bytes(spec) * (weights + passed) + 8 * rows(spec.data) + own


def _passed(spec: RunSpec) -> int:
    """Numbers that passes of a module take: the values of a batch with what torch makes on the way, or at a look those
    of all rows, most of which torch lets go."""
    shape = architecture(spec)
    trained = batch_size(spec) * (PASSED * shape.values + OUTPUT * shape.outputs)
    looked = max(rows(spec.data), test_rows(spec.data)) * (shape.values + LOOKED * shape.outputs)
    return max(trained, looked)


def shared_bytes(spec: RunSpec) -> int:
    """What a process takes for all networks that it trains one after another: the data, and a kernel's memory."""
    shape = architecture(spec)
    if is_module(spec):
        return _data_bytes(spec) + item_bytes(spec) * (_passed(spec) + 2 * shape.parameters)
    values = sum(2 * layer.fan_out + layer.fan_in + 1 for layer in shape.dense) + 2 * shape.outputs
    count = parts(spec)
    held = sum(block_rows(-(-some // count)) for some in (batch_size(spec), rows(spec.data)))
    return _data_bytes(spec) + item_bytes(spec) * count * (held * values + 2 * shape.parameters)


def _data_bytes(spec: RunSpec) -> int:
    """The data in double precision, as it is made and cut, and in the networks' own."""
    shape = architecture(spec)
    numbers = (rows(spec.data) + test_rows(spec.data)) * (shape.inputs + 1 + shape.outputs)
    return numbers * (3 * 8 + 2 * item_bytes(spec))


def row_bytes(spec: RunSpec) -> int:
    """One row of the history of one network."""
    measures = 4 if test_rows(spec.data) else 2  # loss and accuracy, of the test part too
    return item_bytes(spec) * (measures + len(architecture(spec).layers)) + 1


def history_bytes(spec: RunSpec) -> int:
    """The history of one network."""
    return logged_rows(pace(spec)) * row_bytes(spec)


def diagnosis_numbers(spec: RunSpec) -> int:
    """Numbers of the diagnosis of one network."""
    return 2 * (PROBES + 2 * len(architecture(spec).layers) - 1) + ENDS


def result_bytes(spec: RunSpec) -> int:
    """What one trained network leaves: history, weights, outputs, diagnosis."""
    shape, item = architecture(spec), item_bytes(spec)
    weights = item * (2 + snapshots(spec)) * shape.parameters
    return history_bytes(spec) + weights + item * rows(spec.data) * shape.outputs + 8 * (4 + diagnosis_numbers(spec))


def file_bytes(spec: RunSpec) -> int:
    """The files of one network of a cell."""
    shape, item = architecture(spec), item_bytes(spec)
    history = logged_rows(pace(spec)) * (row_bytes(spec) + 16 + TEXTS)
    return history + item * (2 + snapshots(spec)) * shape.parameters + 8 * (4 + diagnosis_numbers(spec)) + TEXTS


def largest_file_bytes(spec: RunSpec) -> int:
    """The largest of the files of one network of a cell that is too large for its files to be made in one go."""
    weights = item_bytes(spec) * architecture(spec).parameters
    return max(
        logged_rows(pace(spec)) * row_bytes(spec), weights * max(1, snapshots(spec)), 8 * (4 + diagnosis_numbers(spec))
    )


def makes_files(spec: RunSpec) -> bool:
    """Whether the files of a cell are made where it is trained: those of a large one are made one by one when they are
    filed."""
    return spec.replicates * result_bytes(spec) <= LARGE_CELL


@dataclass(frozen=True)
class Room:
    """What all ``workers`` processes together may hold of the chunks that they train, and of the results on their way:
    ``bytes`` of memory (None: any), with the cells' ``files`` among it, and with room for compiled code, or not.
    ``after`` tells what is needed besides the results of so many networks of a spec once they have trained. ``card``
    are the bytes of a graphics card that networks on it may take (None: any)."""

    bytes: float | None = None
    workers: int = 1
    files: bool = False
    compiled: bool = True
    after: Callable[[RunSpec, int], float] = lambda spec, networks: 0.0
    card: float | None = None


def chunk_bytes(spec: RunSpec, networks: int, room: Room) -> float:
    """What a process holds that trains ``networks`` of the spec at a time: the most of the time that they train, with a
    report of the history so far on its way, and of the time after."""
    kept = 2 * history_bytes(spec) + item_bytes(spec) * snapshots(spec) * architecture(spec).parameters
    if on_card(spec):
        held = WEIGHTS * item_bytes(spec) * architecture(spec).parameters
        training = networks * (held + kept) + _data_bytes(spec)
    elif not in_lanes(spec):
        training = networks * (own_bytes(spec) + kept) + shared_bytes(spec)
    else:
        training = padded(networks) * column_bytes(spec, room.compiled and compiles(spec, networks)) + networks * kept
    return max(training, networks * (result_bytes(spec) + _made_bytes(spec, room.files)) + room.after(spec, networks))


def _made_bytes(spec: RunSpec, files: bool) -> int:
    """The files of a network, and once more on their way."""
    return 2 * file_bytes(spec) + CELL_FILES if files and makes_files(spec) else 0


def passing_bytes(spec: RunSpec, networks: int, room: Room) -> int:
    """What the parent holds of ``networks`` that have trained or report from other processes, until they are filed."""
    each = result_bytes(spec) + _made_bytes(spec, room.files)
    if room.workers == 1:
        return networks * each if room.files else 0
    return networks * max(each, 3 * history_bytes(spec))


def held_bytes(spec: RunSpec, count: int, networks: int, room: Room) -> float:
    """What is held while ``networks`` of the spec train, ``count`` at a time in each process."""
    processes = min(room.workers, -(-networks // count))
    others = min(PASSING * count, networks - count)
    return processes * chunk_bytes(spec, count, room) + passing_bytes(spec, others, room)


def most_networks(spec: RunSpec, networks: int, room: Room, most: int) -> int:
    """Networks of the spec, at most ``most``, that fit into the room at a time: whole lanes where they lie in lanes,
    and at least one, which may not fit."""
    if room.bytes is None or held_bytes(spec, most, networks, room) <= room.bytes:
        return most
    # the size grows with the number
    fitting = bisect_right(range(1, most), room.bytes, key=lambda count: held_bytes(spec, count, networks, room))
    fitting = max(1, fitting)
    return fitting if not in_lanes(spec) or fitting < LANE else fitting // LANE * LANE


def compiles(spec: RunSpec, networks: int) -> bool:
    """Whether a chunk of so many networks of one formula trains by compiled code."""
    return not is_module(spec) and not on_card(spec) and (not in_lanes(spec) or not why_eager(spec, padded(networks)))
