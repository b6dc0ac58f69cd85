"""Buckets of gradients: in order, complete, of one type, and as large as allowed."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcv.step.reduction import BucketReducer


def parameters(*sizes, dtype=ms.float32):
    return [Parameter(Tensor(np.zeros(size), dtype), name=f"p{i}") for i, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("bucket_bytes", "expected"),
    [
        (1, ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5))),
        (40, ((0, 3), (3, 4), (4, 5))),
        (39, ((0, 2), (2, 3), (3, 4), (4, 5))),
        (10**9, ((0, 5),)),
    ],
)
def test_a_bucket_is_closed_before_it_exceeds_its_size(bucket_bytes, expected):
    assert BucketReducer(parameters(1, 2, 7, 1000, 3), 2, bucket_bytes).buckets == expected


def test_a_bucket_holds_one_type():
    mixed = [*parameters(3, 4), *parameters(5, dtype=ms.float16), *parameters(6, 7)]
    assert BucketReducer(mixed, 2).buckets == ((0, 2), (2, 3), (3, 5))


def test_without_parameters_there_is_no_bucket():
    assert BucketReducer([], 2).buckets == ()
