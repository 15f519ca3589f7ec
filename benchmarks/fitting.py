"""The compiled fit against Keras' own, on the same recipe, rows and starting weights."""

import statistics
import time

from models_store.network import build, use_threads
from training.build import architecture_of, loss_of, optimizer_of
from training.encoders import encoders
from training.fit import Examples, fit
from training.run import dataset_of, no_tables
from training.spec import catalogue


def compare(name: str, rounds: int) -> dict[str, float]:
    use_threads(2)
    spec = catalogue()[name]
    data = dataset_of(spec, no_tables)
    encoder, decoder = encoders(spec, data, "mse")
    rows = Examples(encoder.encode(data.train.inputs), decoder.encode(data.train.outputs))
    architecture = architecture_of(spec, encoder.n_inputs, decoder)
    pairs = []
    for seed in range(rounds):
        began = time.perf_counter()
        fit(build(architecture, seed), rows, None, spec.fit, seed, lambda done, curves: None)
        compiled = time.perf_counter() - began
        model = build(architecture, seed)
        model.compile(optimizer_of(spec.fit, len(data.train)), loss_of("mse", spec.network.dtype))
        began = time.perf_counter()
        model.fit(rows.inputs, rows.targets, batch_size=spec.fit.batch_size, epochs=spec.fit.epochs, verbose=0)
        pairs.append((compiled, time.perf_counter() - began))
    return {
        "rows": len(data.train),
        "epochs": spec.fit.epochs,
        "ours_s": statistics.median(ours for ours, _ in pairs),
        "keras_fit_s": statistics.median(keras for _, keras in pairs),
        "times_faster": statistics.median(keras / ours for ours, keras in pairs),
    }
