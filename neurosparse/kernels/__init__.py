"""Numba kernels: fused sparse spiking layers on LLVM vector intrinsics, and the linear-time operations of rewiring.

Torch-free. Every public function is a checked wrapper (a wrong dtype, shape or order is a `ValidationError` that names
the argument); the compiled functions behind them are private and trust what they get. Nothing compiles at import: each
kernel compiles on its first call and is cached on disk.
"""
