"""The kernels as cells: the features of a network in training and in evaluation, with their gradients."""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcv.kernels.chain import Chain

__all__ = ["EvaluatedFeatures", "TrainedFeatures"]

Shape = list[int]


class _Sizes:
    """Shapes of the operators' results, from the shape of the images.

    Args:
        library: The loaded kernels.
        chain: The layers.
        code: The program, as `Chain.code` returns it.
        pool: Whether the result is the mean over the positions.
    """

    def __init__(self, library: ctypes.CDLL, chain: Chain, code: Sequence[int], *, pool: bool) -> None:
        self.library = library
        self.code = (ctypes.c_int64 * len(code))(*code)
        self.strides = [layer.conv.stride[0] for layer in chain.layers]
        self.in_channels = chain.layers[0].conv.in_channels
        self.out_channels = chain.out_channels
        self.pool = pool
        self.gradients = [list(p.shape) for layer in chain.layers for p in layer.parameters()]

    def features(self, images: Sequence[int]) -> Shape:
        """Return the shape of the features of images [N, C, H, W].

        Raises:
            ValueError: If the images have another number of dimensions or channels.
        """
        if len(images) != 4 or images[1] not in (
            self.in_channels,
            -1,
        ):  # the kernel would read past their end
            raise ValueError(
                f"images of shape {tuple(images)} are not of shape (N, {self.in_channels}, H, W)"
            )
        rows, columns = images[2:]
        for stride in self.strides:
            rows, columns = -(-rows // stride), -(-columns // stride)
        return [images[0], self.out_channels, *((1, 1) if self.pool else (rows, columns))]

    def saved(self, images: Sequence[int]) -> Shape:
        """Return the size of what training keeps for its backward pass."""
        return [self.library.mindcv_saved_floats(self.code, (ctypes.c_int64 * 4)(*images))]

    def backward(self, images: Sequence[int]) -> tuple[Shape, ...]:
        """Return the shapes of the gradient behind the first layer, and of the parameters'."""
        stem = self.library.mindcv_stem_floats(self.code, (ctypes.c_int64 * 4)(*images))
        return ([stem], *self.gradients)


class _Core(nn.Cell):
    """The operators of one program, with their gradient.

    Args:
        path: The compiled kernels.
        sizes: Shapes of the results.
        chain: The layers.
        trained: The program whose backward pass is taken.
        evaluated: The program of the forward pass, where that keeps nothing for a backward pass.
    """

    def __init__(
        self, path: Path, sizes: _Sizes, chain: Chain, trained: Sequence[int], evaluated: Sequence[int] | None
    ) -> None:
        super().__init__(auto_prefix=False)
        self.trained = Tensor(np.asarray(trained, np.int64))
        self.is_trained = evaluated is None
        self.evaluated = self.trained if evaluated is None else Tensor(np.asarray(evaluated, np.int64))
        count = 1 + sum(len(layer.parameters()) for layer in chain.layers)
        programs = repr((list(trained), evaluated and list(evaluated)))

        def operator(name: str, shape: Callable[..., Any], outputs: int) -> ops.Custom:
            kind = ms.float32 if outputs == 1 else (ms.float32,) * outputs
            made = ops.Custom(f"{path}:{name}", shape, lambda *_: kind, "aot")
            # PyNative mode takes two operators with equal attributes and inputs of equal shapes for one, and
            # gives the second the shape of the first one's result: the kernel would write past its end.
            made.add_prim_attr("program", programs)
            return made

        def forward_shapes(*shapes: Shape) -> tuple[Shape, Shape]:
            return sizes.features(shapes[1]), sizes.saved(shapes[1])

        self.forward_op = operator("TrainForward", forward_shapes, 2)
        self.forward_op.add_prim_attr("side_effect_mem", True)  # it updates the running statistics
        self.backward_op = operator("TrainBackward", lambda *shapes: sizes.backward(shapes[1]), count)
        self.image_op = operator("ImageGradient", lambda *shapes: shapes[1], 1)
        self.evaluate_op = operator("Evaluate", lambda *shapes: sizes.features(shapes[1]), 1)

    def construct(self, images, drops, weights, statistics):
        """Return the features, and what the backward pass needs."""
        if self.is_trained:
            return self.forward_op(self.trained, images, drops, *weights, *statistics)
        features = self.evaluate_op(self.evaluated, images, *weights, *statistics)
        return features, drops

    def bprop(self, images, drops, weights, statistics, out, dout):
        """Return the gradients of the images and the weights."""
        saved = out[1]
        if not self.is_trained:
            saved = self.forward_op(self.trained, images, drops, *weights, *statistics)[1]
        found = self.backward_op(self.trained, images, drops, saved, dout[0], *weights, *statistics)
        d_images = self.image_op(self.trained, images, saved, found[0], weights[0])
        return d_images, ops.zeros_like(drops), found[1:], statistics


class TrainedFeatures(nn.Cell):
    """The features of a network in training: batch statistics, running ones updated, drop paths.

    Args:
        library: The loaded kernels.
        path: Their file.
        chain: The layers.
        pool: Whether to return the mean over the positions, of shape (N, C, 1, 1).

    Inputs:
        Tensor of shape (N, in_channels, H, W), float32.

    Outputs:
        Tensor of shape (N, C, h, w).
    """

    def __init__(self, library: ctypes.CDLL, path: Path, chain: Chain, *, pool: bool) -> None:
        super().__init__(auto_prefix=False)
        code = chain.code(pool=pool)
        self.core = _Core(path, _Sizes(library, chain, code, pool=pool), chain, code, None)
        _keep_parameters(self, chain)
        self.drop_count = len(chain.drop_paths)
        object.__setattr__(self, "drop_paths", tuple(chain.drop_paths))
        self.no_drops = Tensor([1.0], ms.float32)

    def construct(self, x: Tensor) -> Tensor:
        """Return the features of images."""
        drops = self.no_drops
        if self.drop_count:
            masks = ()
            for drop_path in self.drop_paths:
                masks += (drop_path.mask((x.shape[0],), x.dtype),)
            drops = ops.stack(masks)
        return self.core(x, drops, self.weights, self.statistics)[0]


class EvaluatedFeatures(nn.Cell):
    """The features of a network in evaluation: batch normalisation folded into the convolutions.

    Arguments, inputs and outputs are those of `TrainedFeatures`.
    """

    def __init__(self, library: ctypes.CDLL, path: Path, chain: Chain, *, pool: bool) -> None:
        super().__init__(auto_prefix=False)
        code = chain.code(pool=pool, batch_statistics=False)
        self.core = _Core(path, _Sizes(library, chain, code, pool=pool), chain, code, code)
        _keep_parameters(self, chain)
        self.no_drops = Tensor([1.0], ms.float32)

    def construct(self, x: Tensor) -> Tensor:
        """Return the features of images."""
        return self.core(x, self.no_drops, self.weights, self.statistics)[0]


def _keep_parameters(cell: nn.Cell, chain: Chain) -> None:
    """Let a cell use the network's parameters, which are not its own and keep their names."""
    weights: list[Parameter] = [p for layer in chain.layers for p in layer.parameters()]
    statistics: list[Parameter] = [p for layer in chain.layers for p in layer.statistics()]
    object.__setattr__(cell, "weights", ParameterTuple(weights))
    object.__setattr__(cell, "statistics", ParameterTuple(statistics))
