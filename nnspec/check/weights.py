"""The first weights of a spec: the scheme of its biases, and the file that they may come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from nnspec.architecture import architecture
from nnspec.catalog import INITS
from nnspec.catalog.inits import BIAS_SAME
from nnspec.errors import Fault, unknown
from nnspec.files import read_bytes
from nnspec.specs import Member, RunSpec, text

_WEIGHTS_BYTES = 64 * 2**20  # of a file of weights at least


def bias_faults(init: Member) -> Iterator[Fault]:
    """What is wrong with the scheme of the biases."""
    if "bias" not in init:
        return
    scheme = str(init["bias"])
    if scheme == BIAS_SAME:
        if not INITS[init.name].biases:
            yield Fault("init.bias", f"cannot be 'same': {init.name} fills matrices only", remedy="try init.bias=zeros")
    elif scheme not in INITS:
        yield unknown("init.bias", "bias scheme", scheme, [BIAS_SAME, *(e.name for e in INITS if e.biases)])
    elif not INITS[scheme].biases:
        yield Fault("init.bias", "must be a scheme that fills vectors", f"'{scheme}'", "try init.bias=zeros")


def with_weights_file(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The spec with its weights file's digest, and the faults of that file."""
    said = spec.init["path"]
    if said is None:
        return spec, [
            Fault("init.path", "must be given with init=from_file", remedy="try init.path=weights.safetensors")
        ]
    try:
        content = read_bytes(str(said), most_bytes(spec))
    except OSError as error:
        return spec, [
            Fault("init.path", f"must be a readable file ({error.strerror})", repr(str(said)), "check the path")
        ]
    digest = hashlib.sha256(content).hexdigest()
    if spec.init["digest"] not in (None, digest):
        return spec, [
            Fault(
                "init.digest", "must be the SHA-256 of init.path", text(spec.init["digest"]), f"the file has {digest}"
            )
        ]
    faults = list(_misfits(spec, content))
    return replace(spec, init=spec.init.with_params(digest=digest)), faults


def most_bytes(spec: RunSpec) -> int:
    """The size of the largest file that may hold the weights of a spec's networks: in double precision, with room for
    its head and, so that the tensors that do not fit can be named, for some more."""
    return max(_WEIGHTS_BYTES, 2 * 8 * architecture(spec).parameters * spec.replicates)


def _misfits(spec: RunSpec, content: bytes) -> Iterator[Fault]:
    import safetensors
    from safetensors.numpy import load

    try:
        stored = {name: tensor.shape for name, tensor in load(content).items()}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        yield Fault(
            "init.path", "must be a safetensors file", f"one that cannot be read ({error})", "save it with safetensors"
        )
        return
    wanted = architecture(spec).tensors()
    for name in sorted(stored.keys() - wanted.keys()):
        yield Fault(
            "init.path", f"must hold the model's tensors only ({', '.join(wanted)})", f"'{name}'", "rename or remove it"
        )
    for name, shape in wanted.items():
        fitting = [(spec.replicates, *shape)] + ([shape] if spec.replicates == 1 else [])
        if name not in stored:
            yield Fault("init.path", f"must hold {name}", "a file without it", f"add it with shape {list(fitting[0])}")
        elif stored[name] not in fitting:
            yield Fault(
                "init.path",
                f"must hold {name} with shape {' or '.join(str(list(s)) for s in fitting)}",
                str(list(stored[name])),
                "change model.hidden, replicates or the file",
            )
