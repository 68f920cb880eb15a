"""LLVM itself: turns a module's text into addresses of functions, by way of llvmlite."""

from __future__ import annotations

import os
import platform
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from ...errors import NablispError
from ...process import whole

_ARM = ("aarch64", "arm64")


@cache
def _host() -> tuple[Any, str, str]:
    """Target, processor and features; NablispError "unavailable" where native cannot run."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    if not (platform.machine().lower() in _ARM or (features.get("fma") and features.get("avx2"))):
        raise NablispError(
            "unavailable", "native needs a processor with fused multiply-adds, and this has none"
        )
    return llvm.Target.from_default_triple(), llvm.get_host_cpu_name(), features.flatten()


_compiling = getattr(llvm.ffi.lib, "_lock", None)
if hasattr(os, "register_at_fork") and _compiling is not None:
    # else a process that was forked while a thread compiles could not compile
    os.register_at_fork(
        before=_compiling.__enter__,
        after_in_parent=_compiling.__exit__,
        after_in_child=_compiling.__exit__,
    )

ATTRIBUTES = (
    'attributes #0 = { nounwind "frame-pointer"="all" '
    '"min-legal-vector-width"="512" "prefer-vector-width"="512" }'
)
"""Whole vectors of eight lanes; a frame pointer, so that those put on the stack are aligned."""


class Machine:
    """Compiled functions, alive as long as this object."""

    @whole
    def __init__(self, text: str, optimise: bool = True) -> None:
        host, processor, features = _host()
        target = host.create_target_machine(  # which the engine comes to own
            cpu=processor, features=features, opt=2 if optimise else 0,
            codemodel="small", jit=True,
        )  # fmt: skip
        module = llvm.parse_assembly(f"{text}\n{ATTRIBUTES}\n")
        module.triple = target.triple
        module.verify()
        # llvmlite's own memory manager keeps code and constants in one piece, which short
        # addresses need; they are some percent faster
        self.engine = llvm.create_mcjit_compiler(module, target, use_lmm=True)
        self.engine.finalize_object()
        self.address = cache(self.engine.get_function_address)
