"""TabM of pytabkit, with its default parameters."""

from benchmarks.accuracy.peers import PYTABKIT, Answer, Inputs, Numbers
from benchmarks.accuracy.peers.networks import fit_network

REQUIREMENTS = PYTABKIT


def fit(inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    return fit_network(TabM_D_Regressor, TabM_D_Classifier, inputs, y, n_labels, seed)
