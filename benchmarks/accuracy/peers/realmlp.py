"""RealMLP-TD of pytabkit, with its default parameters."""

from benchmarks.accuracy.peers import PYTABKIT, Answer, Inputs, Numbers
from benchmarks.accuracy.peers.networks import fit_network

REQUIREMENTS = PYTABKIT


def fit(inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    return fit_network(RealMLP_TD_Regressor, RealMLP_TD_Classifier, inputs, y, n_labels, seed)
