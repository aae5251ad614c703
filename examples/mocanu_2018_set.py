"""SET against the dense network and fixed random synapses on 2 000 training images.

    NEUROSPARSE_DATA=... python examples/mocanu_2018_set.py [--seeds 3]

After the tutorial of Mocanu et al., *Scalable training of artificial neural networks with adaptive sparse connectivity
inspired by network science*, Nature Communications 9:2383, 2018: 784-1000-1000-1000-10, Erdos-Renyi with epsilon 13,
zeta 0.3, SGD with momentum 0.9, L2 of 2e-4, dropout 0.3. With so few images the dense network overfits, and fewer
synapses can do better. The authors' code reports, on Fashion-MNIST and after 400 epochs: dense 82.0 %, fixed random
80.6 %, SET 82.6 % (5 seeds). Here the images are MNIST's, so the order is what compares, not the numbers.

Differences: ReLU instead of SReLU, 100 epochs, batches of 40, a cosine learning rate from 0.05.
"""

from __future__ import annotations

import argparse
import itertools
import math

import torch
from relu_networks import mean_and_spread, mnist, relu_network, save, train

from neurosparse import SET, Static

PUBLISHED = {"dense": 82.0, "fixed random": 80.6, "set": 82.6}
SIZES, EPSILON = [784, 1000, 1000, 1000, 10], 13
COUNTS = [min(n_in * n_out, EPSILON * (n_in + n_out)) for n_in, n_out in itertools.pairwise(SIZES)]
CONDITIONS = {"set": (SET(zeta=0.3), COUNTS), "fixed random": (Static(), COUNTS), "dense": (Static(), None)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    data = mnist(2000)
    table: dict[str, list[dict[str, float]]] = {}
    for name, (method, counts) in CONDITIONS.items():
        for seed in range(arguments.seeds):
            model = relu_network(SIZES, counts, seed=seed, bias=True, gain=2**0.5, dropout=0.3)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-4)
            row = train(
                model, method, optimizer, data, epochs=arguments.epochs, batch_size=40, seed=seed, log=False,
                learning_rate=lambda step, n_steps: 0.05 / 2 * (1 + math.cos(math.pi * step / n_steps)),
            )  # fmt: skip
            table.setdefault(name, []).append(row)
            save("mocanu_2018_set", {"published_on_fashion_mnist": PUBLISHED, **table})
            print(
                f"{name}, seed {seed}: test {row['test']:.4f}, train {row['train']:.4f}, {row['seconds']} s", flush=True
            )
    for name, rows in table.items():
        print(
            f"{name:12s} {mean_and_spread(rows)} on 10 000 test images, {rows[0]['synapses']} synapses; "
            f"published on Fashion-MNIST: {PUBLISHED[name]} %"
        )


if __name__ == "__main__":
    main()
