"""A device that is none: its tensors hold their values on the CPU.

Every operation runs for real, on the CPU, after the rules of a GPU: tensors of two
devices do not meet, values do not become NumPy's, a generator is of the device of what
it draws. What makes the host wait for the device is counted, with its place. Nothing
can be said here about the kernels of a GPU, their speed or their memory.

The device is torch's ``meta``, whose own tensors have no values. Every build of torch
has it, and code that asks for the type of its device finds none that it knows.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from unittest import mock
from weakref import WeakValueDictionary

import torch
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("meta")
PACKAGE = Path(__file__).parents[1] / "mmgraph"
aten = torch.ops.aten
#: The host reads their result, or a number that it needs for the size of the result.
WAITING = {
    aten._linalg_eigh,
    aten._linalg_svd,
    aten._local_scalar_dense,
    aten._unique2,
    aten.bincount,
    aten.equal,
    aten.is_nonzero,
    aten.item,
    aten.masked_select,
    aten.multinomial,
    aten.nonzero,
    aten.unique_consecutive,
    aten.unique_dim,
}
COPYING = {aten._to_copy, aten.copy_}
#: Take indices from the host, too: they copy them.
INDEXING = {
    aten._index_put_impl_,
    aten._unsafe_index,
    aten.index,
    aten.index_put,
    aten.index_put_,
}


class OnDevice(torch.Tensor):
    """A tensor of the pretended device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, on_cpu):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            on_cpu.size(),
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            device=DEVICE,
        )

    def __init__(self, on_cpu):
        self.on_cpu = on_cpu

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} of a tensor whose pretended device is gone")

    def tolist(self):
        return self.cpu().tolist()

    def __repr__(self):
        return f"OnDevice({self.on_cpu!r})"


class PretendedDevice(TorchDispatchMode):
    """While it is entered, tensors are made on it, moved to it and computed with.

    ``waits`` counts how often the host waited, by operation and place, ``doubles`` the
    results in float64, by place.
    """

    def __init__(self):
        super().__init__()
        self.waits, self.doubles = Counter(), Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        flat, spec = tree_flatten((args, kwargs))
        inside = any(isinstance(x, OnDevice) for x in flat)
        wanted = kwargs.get("device")
        lands = inside if wanted is None else torch.device(wanted) == DEVICE
        if any(is_generator(x) and is_of_device(x) != lands for x in flat):
            raise RuntimeError(f"{func} at {place()}: a generator of another device")
        if not inside and not lands:
            return func(*args, **kwargs)
        self._check(func, args, kwargs, inside, lands)
        flat = [x.on_cpu if isinstance(x, OnDevice) else x for x in flat]
        cpu_args, cpu_kwargs = tree_unflatten(flat, spec)
        if wanted is not None:
            cpu_kwargs["device"] = torch.device("cpu")
        out = func(*cpu_args, **cpu_kwargs)
        if not lands:
            return out
        if getattr(out, "dtype", None) == torch.float64:
            self.doubles[place()] += 1
        out = tree_map(lambda x: OnDevice(x) if isinstance(x, torch.Tensor) else x, out)
        return return_and_correct_aliasing(func, args, kwargs, out)

    def _check(self, func, args, kwargs, inside, lands):
        """Refuse what a GPU refuses; count what it is waited for."""
        flat, kind = tree_flatten((args, kwargs))[0], func.overloadpacket
        # A single number of the host's goes along with the call.
        strangers = {id(x) for x in flat if is_on_host(x) and x.dim()}
        if kind in COPYING:
            if strangers or not lands:
                self._wait("copy")
        elif kind in INDEXING:
            if is_on_host(args[0]) or any(id(x) in strangers for x in args[2:]):
                raise mixed(func)
            if strangers:
                self._wait("index of the host's")
            if any(x is not None and x.dtype == torch.bool for x in args[1]):
                self._wait("boolean index")
        elif strangers:
            raise mixed(func)
        elif kind in WAITING:
            self._wait(kind.__name__)
        elif func is aten.repeat_interleave.Tensor and not kwargs.get("output_size"):
            self._wait("repeat_interleave")

    def _wait(self, what):
        self.waits[f"{what} at {place()}"] += 1


def is_on_host(x) -> bool:
    return isinstance(x, torch.Tensor) and not isinstance(x, OnDevice)


def mixed(func) -> RuntimeError:
    return RuntimeError(f"{func} at {place()}: tensors of two devices")


def place() -> str:
    """The innermost line of the package that is being run."""
    frame = sys._getframe(1)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            return f"{file.relative_to(PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back
    return "the test"


# What of torch does not know the device, or knows it as one without values ------------

TorchGenerator, torch_tensor, torch_autocast = (
    torch.Generator,
    torch.tensor,
    torch.autocast,
)


class DeviceGenerator(TorchGenerator):
    """A generator of the device; operations know it by its address alone."""

    alive: ClassVar = WeakValueDictionary()
    device = DEVICE

    def __init__(self):
        self.alive[self._cdata] = self


def is_generator(x) -> bool:
    return isinstance(x, TorchGenerator)


def is_of_device(generator) -> bool:
    return generator._cdata in DeviceGenerator.alive


class _ByDevice(type):
    def __call__(cls, device="cpu"):
        here = torch.device(device) == DEVICE
        return DeviceGenerator() if here else TorchGenerator(device)

    def __instancecheck__(cls, x):
        return is_generator(x)


class Generator(metaclass=_ByDevice):
    """In the place of ``torch.Generator``."""


def tensor(data, *, dtype=None, device="cpu", requires_grad=False):
    """In the place of ``torch.tensor``."""
    made = torch_tensor(data, dtype=dtype).to(device)
    return made.requires_grad_(requires_grad)


def autocast(device_type, **options):
    """In the place of ``torch.autocast``."""
    if device_type == DEVICE.type:
        return contextlib.nullcontext()
    return torch_autocast(device_type, **options)


@contextlib.contextmanager
def pretended_device() -> Iterator[PretendedDevice]:
    """The device, for the time of a block."""
    with (
        mock.patch.multiple(
            torch, Generator=Generator, tensor=tensor, autocast=autocast
        ),
        mock.patch.object(
            optimizer,
            "_get_fused_kernels_supported_devices",
            return_value=["cpu", DEVICE.type],
        ),
        PretendedDevice() as device,
    ):
        yield device
