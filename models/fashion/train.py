#!/usr/bin/env python3
"""Train FashionNet on the 60,000 training pictures of Fashion-MNIST and write its parameters for export.py.

    python3 train.py [--data FOLDER] [--epochs N] [--seed S] -o fashion.pt

The recipe is fixed in advance and the last epoch is kept: the held-out pictures choose nothing.
"""

import argparse
import time

import torch
from torch.nn import functional as F

import dataset
from network import FashionNet

BATCH = 128
PEAK_RATE = 0.1
WEIGHT_DECAY = 5e-4
SHIFT = 2  # pixels


def load(folder, part):
    images, labels = dataset.load(folder, part)
    return torch.from_numpy(dataset.to_input(images)), torch.from_numpy(labels)


def augment(images):
    """Mirror each picture with probability 1/2 and shift it by up to SHIFT pixels, zeros moving in."""
    n, _, height, width = images.shape
    mirrored = torch.rand(n) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    padded = F.pad(images, (SHIFT,) * 4)
    dy, dx = torch.randint(2 * SHIFT + 1, (2, n, 1, 1))
    rows = dy + torch.arange(height)[None, :, None]
    columns = dx + torch.arange(width)[None, None, :]
    return padded[torch.arange(n)[:, None, None], 0, rows, columns].unsqueeze(1)


def train_epoch(network, optimizer, schedule, images, labels):
    """One pass over the training set in random order; returns the mean loss."""
    network.train()
    total = 0.0
    for batch in torch.randperm(len(images)).split(BATCH):
        loss = F.cross_entropy(network(augment(images[batch])), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item() * len(batch)
    return total / len(images)


@torch.no_grad()
def count_correct(network, images, labels):
    network.eval()
    return sum(int((network(x).argmax(1) == y).sum()) for x, y in zip(images.split(500), labels.split(500)))


def train(network, epochs, training_set, heldout_set):
    """Stochastic gradient descent with Nesterov momentum, one cycle of the learning rate."""
    optimizer = torch.optim.SGD(network.parameters(), PEAK_RATE, momentum=0.9, nesterov=True,
                                weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(training_set[0]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps,
                                                   cycle_momentum=False)
    for epoch in range(1, epochs + 1):
        start = time.monotonic()
        loss = train_epoch(network, optimizer, schedule, *training_set)
        correct = count_correct(network, *heldout_set)
        print(f"epoch {epoch:2}  loss {loss:.4f}  held out {correct} of {len(heldout_set[0])}"
              f"  {time.monotonic() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=dataset.DEBIAN_FOLDER, help="folder of the four IDX files")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    network = FashionNet()
    print(sum(p.numel() for p in network.parameters()), "parameters")
    train(network, options.epochs, load(options.data, "train"), load(options.data, "t10k"))
    torch.save(network.state_dict(), options.output)


if __name__ == "__main__":
    main()
