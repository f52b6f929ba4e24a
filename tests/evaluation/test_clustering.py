"""Clustering accuracy, against every way of naming the clusters."""

from itertools import permutations

import numpy as np
import pytest

from tfssvae import evaluation
from tfssvae.checks import InputError


def best_of_all_names(labels, clusters, names):
    """The accuracy by trying every injective naming of the clusters."""
    return max(
        np.mean(np.array(naming)[clusters] == labels)
        for naming in permutations(range(names), int(clusters.max()) + 1)
    )


@pytest.mark.parametrize(("num_classes", "num_clusters"), [(4, 4), (3, 5), (5, 3)])
def test_it_is_the_best_of_all_namings(num_classes, num_clusters):
    rng = np.random.default_rng(0)
    for _ in range(5):
        labels = rng.integers(num_classes, size=60)
        clusters = rng.integers(num_clusters, size=60)
        clusters[:num_clusters], labels[:num_classes] = range(num_clusters), range(num_classes)
        # Names beyond the classes are those of clusters that stand for none.
        names = num_classes + num_clusters
        found = evaluation.clustering_accuracy(labels, clusters)
        assert found == pytest.approx(best_of_all_names(labels, clusters, min(names, 8)))


def test_the_names_of_the_clusters_do_not_matter():
    rng = np.random.default_rng(1)
    labels, clusters = rng.integers(10, size=(2, 500))
    found = evaluation.clustering_accuracy(labels, clusters)
    renamed = rng.permutation(10)[clusters]
    assert evaluation.clustering_accuracy(labels, renamed) == found
    assert evaluation.clustering_accuracy(labels, rng.permutation(10)[labels]) == 1


def test_examples_without_a_label_do_not_count():
    assert evaluation.clustering_accuracy([0, 1, -1, -1], [3, 0, 2, 2]) == 1
    assert evaluation.clustering_accuracy([1, 1, 1, 1], [0, 0, 1, 2]) == 0.5


@pytest.mark.parametrize(
    ("labels", "clusters", "message"),
    [
        ([0, 1], [0, 1, 1], "labels"),
        ([-1, -1], [0, 1], "all -1"),
        ([0, 1], [0, -1], "clusters"),
        ([0, 1], [[0.5, 0.5], [0.1, 0.9]], "clusters"),
    ],
)
def test_bad_input_is_refused(labels, clusters, message):
    with pytest.raises(InputError, match=message):
        evaluation.clustering_accuracy(labels, clusters)
