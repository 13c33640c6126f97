"""Triton kernels of the fused training step; `dgex.training.learners.fused` puts them together.

A weight w lies in memory as two halves of its float32 bits: `high`, the bfloat16 nearest to it, which the matrix
products read, and `low`, the 16 bits by which w differs from it. Together they are w exactly, so that a float32
master weight and its bfloat16 copy take 4 bytes and not 6. Matrices are contiguous and padded with zeros to
multiples of `ALIGN` in both directions.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

try:  # Triton 3.3 and later
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError:
    TensorDescriptor = None

__all__ = [
    "ALIGN",
    "activate",
    "apply",
    "back",
    "can_update",
    "joined",
    "kept",
    "load_inputs",
    "padded",
    "residual",
    "split",
    "tanh",
    "update",
]

ALIGN = 64
_FEW = 512  # rows up to which small tiles of the update are faster (measured on an H100)


def can_update(device: torch.device) -> bool:
    """Whether `update` works here: it needs the tensor copies of compute capability 9 and of Triton 3.3."""
    return TensorDescriptor is not None and torch.cuda.get_device_capability(device) >= (9, 0)


def padded(size: int) -> int:
    """Round up to the alignment of the kernels."""
    return -(-size // ALIGN) * ALIGN


def split(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Split float32 into the nearest bfloat16 (ties away from zero) and the int16 that is left."""
    bits = weight.view(torch.int32)
    high = (bits + 0x8000) >> 16
    low = (bits - (high << 16)).to(torch.int16)
    return high.to(torch.int16).view(torch.bfloat16), low


def joined(high: Tensor, low: Tensor) -> Tensor:
    """Undo `split`."""
    return ((high.view(torch.int16).to(torch.int32) << 16) + low.to(torch.int32)).view(torch.float32)


@triton.jit
def _load_inputs(x, out, rows, columns, width, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + row.to(tl.int64) * columns + column, mask=column < columns, other=0.0)
    tl.store(out + row.to(tl.int64) * width + column, value.to(tl.bfloat16), mask=column < width)


def load_inputs(x: Tensor, out: Tensor) -> None:
    """Write float32 rows as bfloat16 into the first rows of a padded matrix."""
    block = 1024
    grid = (len(x), triton.cdiv(out.shape[1], block))
    _load_inputs[grid](x, out, len(x), x.shape[1], out.shape[1], BLOCK=block)


def kept(dropout: float) -> int:
    """How many of the 65,536 values of a draw keep a unit."""
    return round((1.0 - dropout) * 65536)


@triton.jit
def tanh(value):
    """tanh and its derivative, 1 - tanh^2 without its cancellation."""
    share = tl.sigmoid(2.0 * value)
    return 2.0 * share - 1.0, 4.0 * share * tl.sigmoid(-2.0 * value)


@triton.jit
def _activate(
    z,
    slope,
    bias,
    state,
    layer,
    first_row,
    width,
    keep,
    limit,
    DROPOUT: tl.constexpr,
    TRAINING: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    eighth = width // 8
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < eighth
    at = row.to(tl.int64) * width + column
    if DROPOUT:  # one draw of 4 x 32 bits serves 8 units
        index = ((first_row + row) * eighth + column).to(tl.uint32)
        zero = index * 0
        step = tl.load(state + 1).to(tl.uint32)
        r0, r1, r2, r3 = tl.philox(tl.load(state), index, zero + step, zero + layer, zero, 7)
    for part in tl.static_range(8):
        offset = part * eighth
        value = tl.load(z + at + offset, mask=inside, other=0.0).to(tl.float32)
        value += tl.load(bias + offset + column, mask=inside, other=0.0)
        value, change = tanh(value)
        if DROPOUT:
            if part % 4 == 0:
                draw = r0
            elif part % 4 == 1:
                draw = r1
            elif part % 4 == 2:
                draw = r2
            else:
                draw = r3
            draw = draw & 0xFFFF if part < 4 else draw >> 16
            alive = draw.to(tl.int32) < limit
            value = tl.where(alive, value / keep, 0.0)
            change = tl.where(alive, change / keep, 0.0)
        tl.store(z + at + offset, value.to(tl.bfloat16), mask=inside)
        if TRAINING:
            tl.store(slope + at + offset, change.to(tl.bfloat16), mask=inside)


def activate(
    z: Tensor, slope: Tensor | None, bias: Tensor, state: Tensor, layer: int, dropout: float, first_row: int = 0
) -> None:
    """Replace z by dropout(tanh(z + bias)), in place, and write its derivative.

    Parameters
    ----------
    z : Tensor, bfloat16 [rows, width]
        Products of a hidden layer; becomes its outputs: kept ones scaled by 1 / (1 - dropout), others zero.
    slope : Tensor, bfloat16 [rows, width], or None
        Becomes the derivative of the outputs by z, from the units before they are rounded: of a unit near saturation
        the rounded output tells next to nothing. None is for predicting.
    bias : Tensor, float32 [width]
    state : Tensor, int64 [2]
        Seed and step: with the layer and the place of the unit they decide what is silenced.
    dropout : float
        0 leaves all units.
    first_row : int
        Row of the whole batch that z starts with.
    """
    rows, width = z.shape
    block = min(256 if rows < 2048 else 512, triton.next_power_of_2(width // 8))
    grid, share = (rows, triton.cdiv(width // 8, block)), kept(dropout)
    _activate[grid](
        z, z if slope is None else slope, bias, state, layer, first_row, width, share / 65536, share,
        DROPOUT=dropout > 0, TRAINING=slope is not None, BLOCK=block, num_warps=4,
    )  # fmt: skip


@triton.jit
def _back(delta, slope, total, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    d = tl.load(delta + at, mask=inside, other=0.0).to(tl.float32)
    d *= tl.load(slope + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(delta + at, d.to(tl.bfloat16), mask=inside)


def back(delta: Tensor, slope: Tensor) -> None:
    """Carry the error signal through dropout and tanh, in place: delta *= slope.

    Parameters
    ----------
    delta : Tensor, bfloat16 [rows, width]
        Error signal of the layer's outputs.
    slope : Tensor, bfloat16 [rows, width]
        What `activate` wrote.
    """
    total, block = delta.numel(), 2048
    _back[(triton.cdiv(total, block),)](delta, slope, total, BLOCK=block, num_warps=4)


@triton.jit
def _residual(pred, bias, y, delta, partial, state, count, targets, width, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (column < targets) & (row < tl.load(count))
    at = row.to(tl.int64) * width + column
    d = tl.load(pred + at, mask=inside, other=0.0).to(tl.float32)
    d += tl.load(bias + column, mask=inside, other=0.0)
    d -= tl.load(y + row.to(tl.int64) * targets + column, mask=inside, other=0.0)
    d = tl.where(inside, d, 0.0)
    tl.store(delta + at, d.to(tl.bfloat16), mask=column < width)
    tl.store(partial + row * tl.num_programs(1) + tl.program_id(1), tl.sum(d * d, 0))
    if row + tl.program_id(1) == 0:
        tl.store(state + 1, tl.load(state + 1) + 1)


def residual(
    pred: Tensor, bias: Tensor, y: Tensor, delta: Tensor, partial: Tensor, state: Tensor, count: Tensor
) -> None:
    """Write prediction minus truth, and the squares' sums; count the step.

    Parameters
    ----------
    pred : Tensor, bfloat16 or float32 [rows, width]
        Products of the output layer, without bias.
    y : Tensor, float32 [rows, targets]
    delta : Tensor, bfloat16 [rows, width]
        Becomes pred + bias - y; zero beyond the targets and beyond `count` rows.
    partial : Tensor, float32 [rows, blocks of 1,024 columns]
        Becomes the sums of the squares.
    state : Tensor, int64 [2]
        Its second entry goes up by one.
    count : Tensor, int32 [1]
        Rows that hold profiles.
    """
    rows, width = pred.shape
    grid = (rows, triton.cdiv(width, 1024))
    _residual[grid](pred, bias, y, delta, partial, state, count, y.shape[1], width, BLOCK=1024, num_warps=4)


@triton.jit
def _split(w):
    bits = w.to(tl.int32, bitcast=True)
    upper = (bits + 0x8000) >> 16
    low = (bits - (upper << 16)).to(tl.int16)
    upper = tl.where(w != w, 0x7FC0, upper)  # rounding the bits of a NaN could make a number of it
    return upper.to(tl.int16).to(tl.bfloat16, bitcast=True), low


@triton.jit
def _joined(high, low):
    bits = (high.to(tl.int16, bitcast=True).to(tl.int32) << 16) + low.to(tl.int32)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _update(
    delta,
    inputs,
    high,
    low,
    velocity,
    bias,
    bias_velocity,
    factor,
    rows,
    outs,
    ins,
    momentum,
    scale,
    OUT: tl.constexpr,
    IN: tl.constexpr,
    ROWS: tl.constexpr,
):
    tiles = tl.cdiv(ins, IN)
    o = (tl.program_id(0) // tiles) * OUT
    i = (tl.program_id(0) % tiles) * IN
    rate = tl.load(factor)
    gradient = tl.zeros((OUT, IN), dtype=tl.float32)
    for row in range(0, rows, ROWS):
        gradient = tl.dot(tl.trans(delta.load([row, o])), inputs.load([row, i]), gradient)
    v = momentum * velocity.load([o, i]) + (rate * scale) * gradient
    velocity.store([o, i], v)
    upper, lower = _split(_joined(high.load([o, i]), low.load([o, i])) + v)
    high.store([o, i], upper)
    low.store([o, i], lower)
    if i == 0:
        total = tl.zeros((OUT,), dtype=tl.float32)
        for row in range(0, rows, ROWS):
            total += tl.sum(delta.load([row, o]).to(tl.float32), 0)
        at = o + tl.arange(0, OUT)
        inside = at < outs  # a large tile may reach beyond the padding; tensor copies stop there by themselves
        v_bias = momentum * tl.load(bias_velocity + at, mask=inside, other=0.0) + rate * total
        tl.store(bias_velocity + at, v_bias, mask=inside)
        tl.store(bias + at, tl.load(bias + at, mask=inside, other=0.0) + v_bias, mask=inside)


def update(
    delta: Tensor,
    inputs: Tensor,
    high: Tensor,
    low: Tensor,
    velocity: Tensor,
    bias: Tensor,
    bias_velocity: Tensor,
    factor: Tensor,
    momentum: float,
    scale: float,
) -> None:
    """Gradient and update of one layer in one pass: v = momentum v + factor scale delta' inputs, w += v.

    Parameters
    ----------
    delta : Tensor, bfloat16 [rows, outputs]
        Error signal of the layer; zero in rows that hold no profile. Rows are taken in groups of 64, and what
        a group lacks counts as zero.
    inputs : Tensor, bfloat16 [rows, inputs]
        What the layer was given.
    high, low : Tensor, bfloat16 and int16 [outputs, inputs]
        The weights, see `split`.
    velocity : Tensor, float32 [outputs, inputs]
    bias, bias_velocity : Tensor, float32 [outputs]
        Moved likewise, with scale 1.
    factor : Tensor, float32 [1]
        Minus the learning rate times 2 / profiles.
    """
    out = 64 if len(delta) <= _FEW else 128
    inn, rows = 128, 64
    grid = (triton.cdiv(delta.shape[1], out) * triton.cdiv(inputs.shape[1], inn),)
    box = [out, inn]
    _update[grid](
        TensorDescriptor.from_tensor(delta, [rows, out]), TensorDescriptor.from_tensor(inputs, [rows, inn]),
        TensorDescriptor.from_tensor(high, box), TensorDescriptor.from_tensor(low, box),
        TensorDescriptor.from_tensor(velocity, box), bias, bias_velocity, factor,
        delta.shape[0], delta.shape[1], inputs.shape[1], momentum, scale,
        OUT=out, IN=inn, ROWS=rows, num_warps=4, num_stages=3,
    )  # fmt: skip


@triton.jit
def _apply(gradient, high, low, velocity, factor, total, momentum, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    rate = tl.load(factor) * scale
    g = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
    v = momentum * tl.load(velocity + at, mask=inside, other=0.0) + rate * g
    w = _joined(tl.load(high + at, mask=inside, other=0.0), tl.load(low + at, mask=inside, other=0)) + v
    upper, lower = _split(w)
    tl.store(velocity + at, v, mask=inside)
    tl.store(high + at, upper, mask=inside)
    tl.store(low + at, lower, mask=inside)


def apply(
    gradient: Tensor, high: Tensor, low: Tensor, velocity: Tensor, factor: Tensor, momentum: float, scale: float
) -> None:
    """Update of one layer whose gradient exists (bfloat16 [outputs, inputs]); otherwise as `update`, without bias."""
    total, block = gradient.numel(), 2048
    grid = (triton.cdiv(total, block),)
    _apply[grid](gradient, high, low, velocity, factor, total, momentum, scale, BLOCK=block, num_warps=4)
