"""What the fused step needs where a GPU holds some of a layer's units; see `dgex.training.learners.kernels`."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from dgex.training.learners.kernels import kept, padded, tanh

__all__ = ["activate_part"]


@triton.jit
def _activate_part(
    z, slope, bias, state, layer, first, width, eighth, keep, limit, DROPOUT: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    at = row.to(tl.int64) * width + column
    value = tl.load(z + at, mask=inside, other=0.0).to(tl.float32) + tl.load(bias + column, mask=inside, other=0.0)
    value, change = tanh(value)
    if DROPOUT:  # the draw that one GPU makes of the unit: for 8 of them at once, an eighth of the layer apart
        unit = first + column
        index = (row * eighth + unit % eighth).to(tl.uint32)
        zero = index * 0
        step = tl.load(state + 1).to(tl.uint32)
        r0, r1, r2, r3 = tl.philox(tl.load(state), index, zero + step, zero + layer, zero, 7)
        piece = unit // eighth
        which = piece % 4
        draw = tl.where(which == 0, r0, tl.where(which == 1, r1, tl.where(which == 2, r2, r3)))
        draw = tl.where(piece < 4, draw & 0xFFFF, draw >> 16)
        alive = draw.to(tl.int32) < limit
        value = tl.where(alive, value / keep, 0.0)
        change = tl.where(alive, change / keep, 0.0)
    tl.store(z + at, value.to(tl.bfloat16), mask=inside)
    tl.store(slope + at, change.to(tl.bfloat16), mask=inside)


def activate_part(
    z: Tensor, slope: Tensor, bias: Tensor, state: Tensor, layer: int, dropout: float, first: int, units: int
) -> None:
    """As `kernels.activate`, of the units from `first` on of a layer of `units`; the masks are those of one GPU."""
    rows, width = z.shape
    block = min(512, triton.next_power_of_2(width))
    grid, share = (rows, triton.cdiv(width, block)), kept(dropout)
    _activate_part[grid](
        z, slope, bias, state, layer, first, width, padded(units) // 8, share / 65536, share,
        DROPOUT=dropout > 0, BLOCK=block, num_warps=4,
    )  # fmt: skip
