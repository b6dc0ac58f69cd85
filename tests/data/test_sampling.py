"""Which images each rank sees: closed forms, without reading any."""

import numpy as np
import pytest

from mindcv.data import epoch_indices, shard_indices
from mindcv.data.sampling import augmentation_seed


def ranks(size, **options):
    return [epoch_indices(rank=rank, world_size=size, **options) for rank in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_training_ranks_together_see_every_image_once_when_they_divide(size):
    parts = ranks(size, total=12, seed=1, epoch=0)
    assert [len(part) for part in parts] == [12 // size] * size
    assert sorted(np.concatenate(parts)) == list(range(12))


def test_training_ranks_get_equally_many_images_when_they_do_not_divide():
    parts = ranks(3, total=10, seed=1, epoch=0)
    assert [len(part) for part in parts] == [4, 4, 4]
    assert set(np.concatenate(parts).tolist()) == set(range(10))


def test_training_order_is_one_order_for_all_ranks():
    whole = epoch_indices(12, seed=3, epoch=5)
    for rank, part in enumerate(ranks(3, total=12, seed=3, epoch=5)):
        assert np.array_equal(part, whole[rank::3])


def test_order_depends_on_seed_and_epoch_only():
    order = epoch_indices(100, seed=1, epoch=2)
    assert np.array_equal(order, epoch_indices(100, seed=1, epoch=2))
    assert not np.array_equal(order, epoch_indices(100, seed=1, epoch=3))
    assert not np.array_equal(order, epoch_indices(100, seed=2, epoch=2))


def test_without_shuffle_the_order_is_the_datasets_in_every_epoch():
    for epoch in range(3):
        assert epoch_indices(6, seed=1, epoch=epoch, rank=1, world_size=2, shuffle=False).tolist() == [
            1,
            3,
            5,
        ]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_num_samples_is_a_total_over_ranks_and_the_same_subset_in_every_epoch(size):
    first, second = (
        np.concatenate(ranks(size, total=100, seed=7, epoch=epoch, num_samples=8)) for epoch in (0, 1)
    )
    assert len(first) == len(set(first.tolist())) == 8
    assert sorted(first) == sorted(second)
    assert first.tolist() != second.tolist()


def test_num_samples_is_drawn_by_the_seed_if_shuffled_and_else_the_first_ones():
    drawn = {tuple(sorted(epoch_indices(100, seed=seed, epoch=0, num_samples=5))) for seed in range(5)}
    assert len(drawn) == 5
    assert epoch_indices(100, seed=1, epoch=0, num_samples=5, shuffle=False).tolist() == [0, 1, 2, 3, 4]


def test_more_samples_than_there_are_means_all():
    assert sorted(epoch_indices(4, seed=0, epoch=0, num_samples=9)) == [0, 1, 2, 3]
    assert shard_indices(4, num_samples=9).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_evaluation_shards_hold_every_image_exactly_once(size):
    parts = [shard_indices(11, rank=rank, world_size=size) for rank in range(size)]
    assert sorted(np.concatenate(parts)) == list(range(11))
    assert parts[0].tolist() == list(range(0, 11, size))


def test_evaluation_num_samples_is_a_total_over_ranks():
    assert [shard_indices(11, rank=rank, world_size=2, num_samples=5).tolist() for rank in (0, 1)] == [
        [0, 2, 4],
        [1, 3],
    ]


def test_every_rank_and_epoch_has_its_own_augmentation_seed():
    seeds = {
        augmentation_seed(seed, epoch, rank) for seed in range(4) for epoch in range(8) for rank in range(8)
    }
    assert len(seeds) == 4 * 8 * 8
    assert all(0 <= seed < 2**32 for seed in seeds)
    # MindSpore's workers count up from the seed: neighbours would share a stream.
    assert min(np.diff(sorted(seeds))) > 64
