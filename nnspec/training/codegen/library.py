"""The engine that holds machine code, and where the functions are that it calls: torch's, those of BLAS and of C."""

from __future__ import annotations

import ctypes
from ctypes.util import find_library
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import torch
from llvmlite import ir

from nnspec.training.codegen.graph import Untraceable
from nnspec.training.codegen.lanes import I64

# what torch itself calls: Intel's vector mathematics on whole arrays, SLEEF on registers of so many numbers
FUNCTIONS = {
    "exp": "vm{intel}Exp",
    "tanh": "vm{intel}Tanh",
    "erf": "vm{intel}Erf",
    "sin": "vm{intel}Sin",
    "cos": "vm{intel}Cos",
    "sqrt": "vm{intel}Sqrt",
    "expm1": "Sleef_expm1{sleef}_u10",
    "log1p": "Sleef_log1p{sleef}_u10",
    "log": "vm{intel}Ln",
}


def target() -> Any:
    """This processor as LLVM knows it; every engine wants one of its own, which goes with it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )


def machine_code(module: ir.Module, effort: int) -> Any:
    """The engine that holds a module's machine code, which lives as long as it; ``effort`` is LLVM's level."""
    machine, parsed = target(), llvm.parse_assembly(str(module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=effort))
    passes.getModulePassManager().run(parsed, passes)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine


@lru_cache
def library_function(symbol: str) -> ir.Constant:
    """Where a function of torch's library is.

    Raises:
        Untraceable: if the library has it not.
    """
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        found = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
    except (OSError, AttributeError) as error:
        raise Untraceable(f"torch has no {symbol}") from error
    return I64(found)


@lru_cache
def yield_function() -> ir.Constant | None:
    """Where the system's function is by which a thread lets another have its core; None where there is none."""
    try:
        return I64(ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value)
    except (OSError, AttributeError, TypeError):  # as on Windows
        return None


@lru_cache
def product_function(dtype: str) -> ir.Constant:
    """Where BLAS's product of matrices is, whose integers have 32 bits: in torch's library, else in SciPy's."""
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    try:
        return library_function(f"{name}_")
    except Untraceable:
        return I64(_from_scipy(name))


def _from_scipy(name: str) -> int:
    """Where a function of SciPy's BLAS is: it hands out addresses to compiled code in capsules."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__[name]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer_of(capsule, name_of(capsule)))


@lru_cache
def c_function(name: str) -> ir.Constant:
    """Where a function of C's mathematical library is."""
    return I64(ctypes.cast(getattr(ctypes.CDLL(find_library("m")), name), ctypes.c_void_p).value)
