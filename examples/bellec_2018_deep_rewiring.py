"""DEEP R on MNIST with 1.33 % of the synapses, beside the published number.

    NEUROSPARSE_DATA=... python examples/bellec_2018_deep_rewiring.py [--seeds 3]

Setting of the authors' script (Bellec, Kappel, Maass and Legenstein, *Deep Rewiring*, ICLR 2018): ReLU 784-300-100-10
without biases, 1 / 3 / 30 % of the synapses (K = 3 552), batches of 10, 10 epochs, SGD with a learning rate of 0.5 that
falls by a fifth each epoch, L1 and noise of 1e-5 each. Published for this budget: 96.6 % (Liu et al., *Memory-efficient
deep learning on a SpiNNaker 2 prototype*, Frontiers in Neuroscience 12:840, 2018).

As there, weights start at N(0, 1 / n_in) with the *full* number of inputs: ten times smaller in the first layer than by
the one synapse in a hundred that is there. It matters: small weights cross zero early and make room (2.3 million
births instead of 0.6 with weights by the real fan-in, and 96.9 % instead of 96.5 % of the validation images).
"""

from __future__ import annotations

import argparse

import torch
from relu_networks import mean_and_spread, mnist, relu_network, save, train

from neurosparse import DeepR, Static
from neurosparse.rewiring.drift import temperature_from_code

PUBLISHED, ACCEPTED = 96.6, 96.0
SIZES, COUNTS = [784, 300, 100, 10], [2352, 900, 300]
FULL_FAN_IN = [0.01**0.5, 0.03**0.5, 0.3**0.5]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    data = mnist()
    per_epoch = -(-len(data["train"]) // 10)
    methods = {"deep_r": DeepR(alpha=1e-5, temperature=temperature_from_code(0.5, 1e-5)), "static": Static()}
    table: dict[str, list[dict[str, float]]] = {}
    for name, method in methods.items():
        for seed in range(arguments.seeds):
            print(f"{name}, seed {seed}")
            model = relu_network(SIZES, COUNTS, seed=seed, gain=FULL_FAN_IN)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
            row = train(
                model, method, optimizer, data, epochs=arguments.epochs, batch_size=10, seed=seed,
                learning_rate=lambda step, n_steps: 0.5 * 0.8 ** (step // per_epoch),
            )  # fmt: skip
            table.setdefault(name, []).append(row)
            save("bellec_2018_deep_rewiring", {"published": PUBLISHED, "accepted": ACCEPTED, **table})
    for name, rows in table.items():
        print(f"{name}: {mean_and_spread(rows)} on the test images, {rows[0]['synapses']} synapses")
    print(f"published for DEEP R: {PUBLISHED} %; accepted here from {ACCEPTED} %")


if __name__ == "__main__":
    main()
