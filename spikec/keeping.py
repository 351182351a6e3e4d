"""Python objects as bytes, with their code: what host calls run, and the state that they are in.

Own code goes in by value, libraries by their names.  What this takes of cloudpickle is not public there, so
pyproject.toml bounds its version.
"""

from __future__ import annotations

import io
import pickle
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

# Whether a module with these global names is the user's own: its functions and classes go by value.
Own = Callable[[Mapping[str, Any]], bool]

# Where a model lies beside the sources of these, they are libraries all the same.
LIBRARIES = ("spikec", "spike_runtime", "nengo")
INSTALLED = {
    Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")
}
# What Python writes into modules that it imports, and what it adds anew.
_OF_IMPORT = ("__builtins__", "__cached__", "__loader__", "__spec__")
# What functions need of their module, even where they do not name it.
_OF_MODULES = ("__name__", "__package__", "__path__", "__file__")
# What Nengo's parameters know of objects.
_OF_OBJECTS = {"data", "_defaults"}
_PYTHONS: Any = pickle._Pickler
_POP = b"0"  # takes from the reader's stack what was just read
_SKELETON = cloudpickle.cloudpickle._make_skeleton_class
# Nothing of the kind is asked of these, of which tables have millions.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, tuple, list, dict})
# The pickler is one in Python, of which a level of nesting takes four frames.
_DEPTH = 14_000


def is_of_folder(names: Mapping[str, Any], folder: Path) -> bool:
    """Whether a module with these global names is of a folder (or one below it), and not installed there."""
    file = names.get("__file__")
    # Text that is executed, as graphical interfaces do it, may have a file and no name.
    if not isinstance(file, str) or str(names.get("__name__")).partition(".")[0] in LIBRARIES:
        return False
    inside = Path(file).resolve()
    if folder not in inside.parents or {"site-packages", "dist-packages"} & set(inside.parts):
        return False
    # A folder that holds Python itself, such as a home, has its libraries in it.
    return not any(root in inside.parents and root not in (folder, *folder.parents) for root in INSTALLED)


def is_of_user(names: Mapping[str, Any]) -> bool:
    """Whether a module with these global names is installed nowhere."""
    return is_of_folder(names, Path("/"))


def bytes_of(value: Any, own: Own, memory: Sequence[Any] = (), modules: bool = True) -> bytes:
    """`value` as bytes, of which `spike_runtime.python.loads` makes it again.

    memory: what goes in by its number: the reader has the same in the same order.  Arrays that view others,
    in memory or not, still do when they are read.  modules: whether modules of the user's own that something
    names go in as they are, and not by their names.

    Raises whatever an object raises when it is asked for its state.
    """
    buffer = io.BytesIO()
    with deep(), by_value([m for m in list(sys.modules.values()) if own(vars(m))]):
        Pickler(buffer, own, memory, modules).dump(value)
    return buffer.getvalue()


def why(error: BaseException) -> str:
    """What an exception says, and its type where it says nothing."""
    return str(error) or type(error).__name__


class _Names(dict[str, Any]):
    """Stands for the global names of a module that goes by value: one dictionary for all its functions."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__({k: names[k] for k in _OF_MODULES if k in names})
        self.module = ModuleType(self["__name__"])  # stands for the module


class Pickler(pickle._Pickler):
    """cloudpickle's, with five things of its own: sets have an order; a class gets no mark by which other
    pickles would find it; a module that goes by value is one, with its functions and as an object; arrays
    that view another one go with it; and Nengo's parameters in a class are there before objects of it are.

    It derives from the pickler in Python, for that in C does not ask about sets.
    """

    memo: dict[int, Any]
    write: Callable[[bytes], Any]
    dispatch_table = cloudpickle.Pickler.dispatch_table
    _function_reduce = cloudpickle.Pickler._function_reduce
    _dynamic_function_reduce = cloudpickle.Pickler._dynamic_function_reduce
    _function_getnewargs = cloudpickle.Pickler._function_getnewargs

    def __init__(
        self, buffer: io.BytesIO, own: Own, memory: Sequence[Any] = (), modules: bool = True
    ) -> None:
        """See `bytes_of`."""
        super().__init__(buffer, protocol=5)
        self.globals_ref: dict[int, dict[str, Any]] = {}
        self._own, self._modules = own, modules
        self._stands: dict[int, _Names] = {}
        self._memory = {id(item): number for number, item in enumerate(memory)}

    def persistent_id(self, value: Any) -> int | None:
        return self._memory.get(id(value))

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        kind = type(value)
        first = kind not in _PLAIN and _sets_itself(kind)
        if first and not {id(kind), id(value)} & self.memo.keys() and _by_value(kind):
            # What a class holds may hold the object, which then would be set twice: Nengo's may be only once.
            _PYTHONS.save(self, kind)
            self.write(_POP)
        _PYTHONS.save(self, value, save_persistent_id)

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return NotImplemented
        if kind in (set, frozenset):
            return kind, (sorted(value, key=lambda item: (type(item).__name__, repr(item))),)
        if kind is _Names:
            return vars, (value.module,)
        if kind is ModuleType:
            return self._module(value)
        if isinstance(value, np.ndarray) and (made := _array(value)):
            return made
        if _is_parameter(value):
            return _reduced(value)
        if kind is FunctionType and self._own(value.__globals__):
            self.globals_ref[id(value.__globals__)] = self._names(value.__globals__)
            self._met(value)
        reduced = cloudpickle.Pickler.reducer_override(self, value)
        if isinstance(value, type) and reduced is not NotImplemented:
            mark = cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(value)
            arguments: list[Any] = [None if item is mark else item for item in reduced[1]]
            if reduced[0] is _SKELETON:
                arguments[3] |= {k: item for k, item in vars(value).items() if _is_bare(item)}
            return (reduced[0], tuple(arguments), *reduced[2:])
        return reduced

    def _met(self, function: FunctionType) -> None:
        """A function of the user's own goes in."""

    def _names(self, names: dict[str, Any]) -> _Names:
        if id(names) not in self._stands:
            self._stands[id(names)] = made = _Names(names)
            self._stands[id(vars(made.module))] = made
        return self._stands[id(names)]

    def _module(self, module: ModuleType) -> Any:
        if id(vars(module)) in self._stands and self._stands[id(vars(module))].module is module:
            return ModuleType, (module.__name__,), dict(self._stands[id(vars(module))])
        if not self._modules or not self._own(vars(module)):
            return NotImplemented
        names = {name: item for name, item in vars(module).items() if name not in _OF_IMPORT}
        return itself, (self._names(vars(module)).module,), names


def _sets_itself(kind: type) -> bool:
    """Whether objects of a class are made without arguments and then set their state."""
    plain = all(getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))
    return plain and hasattr(kind, "__setstate__")


def _by_value(kind: type) -> bool:
    return not cloudpickle.cloudpickle._should_pickle_by_reference(kind)


def _is_parameter(value: Any) -> bool:
    """Whether this is a parameter of Nengo, which knows the values of all objects."""
    params = sys.modules.get("nengo.params")
    return params is not None and isinstance(value, params.Parameter)


def _reduced(parameter: Any) -> tuple[Any, ...]:
    """A parameter without the values of objects that bring their own: those of Nengo, which are set once."""
    reduced: tuple[Any, ...] = parameter.__reduce_ex__(5)
    state = dict(reduced[2])
    for name in _OF_OBJECTS & state.keys():
        state[name] = {k: item for k, item in state[name].items() if not hasattr(type(k), "__setstate__")}
    return *reduced[:2], state


def _is_bare(value: Any) -> bool:
    """Whether this is a parameter that needs no object."""
    return _is_parameter(value) and not any(map(_reduced(value)[2].get, _OF_OBJECTS))


def itself(module: ModuleType) -> ModuleType:
    """A module, to be filled with what it holds."""
    return module


def view(
    owner: NDArray[Any], dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], first: int, write: bool
) -> NDArray[Any]:
    """The array that begins at byte `first` of another one and looks at its memory."""
    flat = owner.reshape(-1, order="A")
    made: NDArray[Any] = np.ndarray(shape, dtype, flat, first, strides)
    made.setflags(write=write and owner.flags.writeable)
    return made


def _array(array: NDArray[Any]) -> Any:
    """What an array is made of, where that is not what NumPy says: a view of its owner, or a single byte."""
    if type(array) is np.ndarray and (owner := _owner(array)) is not None:
        return view, _place(array, owner)
    # Python's pickler fails at the second such buffer: their bytes are one.
    return array.__reduce__() if array.nbytes <= 1 else None


def _owner(array: NDArray[Any]) -> NDArray[Any] | None:
    """The array whose memory this one views, in one piece; None where there is none that can be kept so."""
    owner = array
    while True:
        base = owner.base.obj if isinstance(owner.base, memoryview) else owner.base
        if not isinstance(base, np.ndarray):
            break
        owner = base
    whole = type(owner) is np.ndarray and (owner.flags.c_contiguous or owner.flags.f_contiguous)
    return owner if owner is not array and whole and not array.dtype.hasobject else None


def _place(array: NDArray[Any], owner: NDArray[Any]) -> tuple[Any, ...]:
    first = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return owner, array.dtype, array.shape, array.strides, first, array.flags.writeable


@contextmanager
def deep() -> Iterator[None]:
    """Objects may hold each other many levels deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def by_value(own: Sequence[ModuleType]) -> Iterator[None]:
    """Functions and classes of these modules go by value."""
    before = cloudpickle.list_registry_pickle_by_value()
    new = {module.__name__: module for module in own if module.__name__ in sys.modules}
    new = {name: module for name, module in new.items() if name not in before}
    for module in new.values():
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in new.values():
            cloudpickle.unregister_pickle_by_value(module)
