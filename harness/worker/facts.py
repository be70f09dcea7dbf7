"""What backends say of themselves in their `__init__.py`, checked; `harness/spec/protocol.py` describes it.

Standard library only, and no framework is imported: nox, whose own environment has no more, asks here, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import backends
from harness.errors import InputError
from harness.worker import places

COLOUR = re.compile(r"#[0-9a-f]{6}")
# What people read in tables and figures: one line, no control characters, nothing that a terminal or a page obeys.
LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f<>&\[\]\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,40}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What decides how a launch is measured is the harness's alone: threads, allocator, where code and libraries come from.
NOT_THEIRS = (
    "CUDA_VISIBLE_DEVICES", "GLIBC_TUNABLES", "LD_", "LENET_BENCH_", "MALLOC_", "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH", "PYTHON", "TMPDIR",
    "VECLIB_MAXIMUM_THREADS", "XDG_",
)  # fmt: skip


def of(name: str) -> ModuleType:
    """The facts of a backend, all that must be there and in the right form.

    Raises:
        InputError: there is no such backend, or its facts are not as they must be; with file, name and what was found.
    """
    module = places.module_of(name)
    for fact, (needed, right, form) in FORMS.items():
        if not hasattr(module, fact):
            if needed:
                raise InputError(f"{module.__file__} does not say {fact}: {form}.")
        elif not right(getattr(module, fact)):
            raise InputError(f"{module.__file__}: {fact} must be {form}; found {getattr(module, fact)!r}.")
    return module


def get(name: str, fact: str, default: Any) -> Any:
    """One fact of a backend, where it may be left out."""
    return getattr(of(name), fact, default)


def has_processes(name: str, replicas: int) -> bool:
    """Whether a backend with so many replicas is as many processes."""
    return replicas > 1 and bool(get(name, "REPLICA_PROCESSES", False))


def ours(fact: str) -> dict[str, Any]:
    """What those of the backends of this repository say that say it, by their names."""
    known = {name: of(name) for name in backends.BACKENDS}
    return {name: getattr(each, fact) for name, each in known.items() if hasattr(each, fact)}


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) and each for each in value)


def _some_texts(value: Any) -> bool:
    return _texts(value) and bool(value)


def _modes(value: Any) -> bool:
    return isinstance(value, dict) and _some_texts(tuple(value)) and _some_texts(tuple(value.values()))


def _variables(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and VARIABLE.fullmatch(name) and not name.startswith(NOT_THEIRS) and isinstance(text, str)
        for name, text in value.items()
    )


def _prefixes(value: Any) -> bool:
    return _texts(value) and all(len(each) > 2 for each in value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _blocks(value: Any) -> bool:
    return isinstance(value, dict) and _texts(tuple(value)) and all(map(_whole, value.values()))


def _refusals(value: Any) -> bool:
    pairs = isinstance(value, dict) and all(_texts(key) and len(key) == 2 for key in value)
    return pairs and _texts(tuple(value.values()))


def _yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)


def _line(value: Any) -> bool:
    return isinstance(value, str) and LINE.fullmatch(value) is not None


def _python(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"3\.\d+", value) is not None


def _colour(value: Any) -> bool:
    return isinstance(value, str) and COLOUR.fullmatch(value) is not None


# Fact -> whether it must be there, whether a value is right, and what is right in words.
FORMS: dict[str, tuple[bool, Callable[[Any], bool], str]] = {
    "DISTRIBUTIONS": (True, _some_texts, 'a tuple of packages, ("numpy",) for instance'),
    "MODES": (True, _modes, 'a dictionary of modes with a sentence each, {"eager": "call by call"} for instance'),
    "DTYPES": (True, _some_texts, 'a tuple of precisions, ("float32",) for instance'),
    "DEVICES": (True, lambda value: _some_texts(value) and set(value) <= {"cpu", "gpu"}, '("cpu",) or ("cpu", "gpu")'),
    "GPU_MODES": (False, _texts, 'a tuple of modes, ("cuda-graph",) for instance'),
    "BLOCKWISE": (False, _blocks, 'a dictionary of modes with whole numbers, {"epoch": 1} for instance'),
    "REFUSED": (
        False, _refusals,
        'a dictionary of modes and precisions with a sentence each, {("eager", "float64"): "why"} for instance',
    ),
    "REPLICAS": (False, _modes, 'a dictionary of modes with a sentence each, {"eager": "gloo"} for instance'),
    "REPLICA_PROCESSES": (False, _yes_or_no, "True or False"),
    "MOST_THREADS": (False, _whole, "a whole number from 1"),
    "TITLE": (False, _line, "a name of up to 40 letters in one line"),
    "PLAIN": (False, _line, "a name of up to 40 letters in one line"),
    "COLOUR": (False, _colour, 'a colour such as "#0072b2"'),
    "ASYNCHRONOUS": (False, _yes_or_no, "True or False"),
    "GPU_WHEELS": (False, _yes_or_no, "True or False"),
    "COMPANIONS": (False, _yes_or_no, "True or False"),
    "ONLY_PYTHON": (False, _python, 'a version of Python, "3.11" for instance'),
    "ENVIRONMENT": (
        False, _variables, "a dictionary of variables with their values as text, none of which is the harness's own "
        f"({', '.join(NOT_THEIRS)})",
    ),
    "SYSTEM_LIBRARIES": (False, _texts, 'a tuple of libraries, ("libgomp.so.1",) for instance'),
    "VARIABLES": (False, _texts, 'a tuple of variables, ("MYLIB_THREADS",) for instance'),
    "SET_ASIDE": (False, _prefixes, 'a tuple of beginnings of variables, ("MYLIB_",) for instance'),
    "NOT_ASIDE": (False, _prefixes, 'a tuple of beginnings of variables, ("MYLIB_CLI_",) for instance'),
}  # fmt: skip
