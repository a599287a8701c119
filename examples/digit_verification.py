# Copyright 2026 The ms_cosine_loss authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Tell whether two handwritten digits show the same number, with a Siamese network.

One small convolutional encoder, applied to both images of a pair, is trained with the cosine embedding loss:
embeddings of the same digit (label +1) are pulled to the same direction, those of different digits (label -1)
pushed apart. The data are the 1797 scans of 8 x 8 pixels that scikit-learn ships, so nothing is downloaded.
No image used for training appears in a held-out pair.

The script needs scikit-learn, matplotlib and tqdm besides MindSpore::

    python examples/digit_verification.py
    python examples/digit_verification.py --mode pynative --seed 1 --out results
    python examples/digit_verification.py --loss mindspore

It prints the loss of every epoch and, for held-out pairs, accuracy and ROC AUC before and after training, and
saves ``loss_curve.png``, ``roc_curve.png`` and ``embedding.png``.
"""

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mindspore
import numpy as np
from mindspore import Tensor, nn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split
from tqdm import tqdm

TRAIN_PAIRS_PER_EPOCH = 6400
EVALUATION_PAIRS = 8000
MODES = {"graph": mindspore.GRAPH_MODE, "pynative": mindspore.PYNATIVE_MODE}


class Pairs(NamedTuple):
    """Image pairs as positions in the whole data set; ``labels`` is +1 for the same digit, -1 otherwise."""

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray


class Verification(NamedTuple):
    """How well same-digit pairs are told from others; ``rates`` are those of false and of true positives."""

    accuracy: float
    auc: float
    rates: tuple


class Encoder(nn.Cell):
    """Map images of shape (N, 1, 8, 8) to embeddings of shape (N, features)."""

    def __init__(self, features=32):
        super().__init__()
        self.layers = nn.SequentialCell(
            nn.Conv2d(1, 8, 3, has_bias=True),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(8, 32, 3, has_bias=True),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dense(32 * 4 * 4, features),
        )

    def construct(self, images):
        """Embed a batch of images."""
        return self.layers(images)


class SiameseWithLoss(nn.Cell):
    """Apply one encoder to both images of each pair and return the loss."""

    def __init__(self, encoder, loss):
        super().__init__()
        self.encoder = encoder
        self.loss = loss

    def construct(self, images1, images2, labels):
        """Compute the loss of a batch of pairs."""
        return self.loss(self.encoder(images1), self.encoder(images2), labels)


def build_loss(name, margin):
    """Create the loss called ``name``; both have the same interface."""
    if name == "mindspore":
        return nn.CosineEmbeddingLoss(margin=margin)
    # Imported here so that the comparison with MindSpore's own loss also runs without this package.
    from ms_cosine_loss import CosineEmbeddingLoss

    return CosineEmbeddingLoss(margin=margin)


def load_images():
    """Return the scans as float32 of shape (1797, 1, 8, 8) in [0, 1], and their digits."""
    data = load_digits()
    return (data.images[:, None] / 16.0).astype(np.float32), data.target


def draw_pairs(pool, digits, count, rng):
    """Draw ``count`` distinct pairs of images from ``pool``, half of them of the same digit."""
    rows, columns = np.triu_indices(len(pool), k=1)
    first, second = pool[rows], pool[columns]
    same = digits[first] == digits[second]
    chosen = np.concatenate(
        [rng.choice(np.flatnonzero(group), count // 2, replace=False) for group in (same, ~same)]
    )
    rng.shuffle(chosen)
    return Pairs(first[chosen], second[chosen], np.where(same[chosen], 1, -1).astype(np.int32))


def train(step, images, digits, pool, epochs, batch_size, rng):
    """Run ``step`` on fresh pairs every epoch and return the losses, one row per epoch."""
    batches = TRAIN_PAIRS_PER_EPOCH // batch_size
    losses = np.empty((epochs, batches))
    step.set_train()
    with tqdm(total=losses.size, desc="training", unit="step") as progress:
        for epoch in range(epochs):
            # Only whole batches: a shorter last one would make graph mode compile a second graph.
            pairs = draw_pairs(pool, digits, TRAIN_PAIRS_PER_EPOCH, rng)
            for batch in range(batches):
                part = slice(batch * batch_size, (batch + 1) * batch_size)
                first, second, labels = (values[part] for values in pairs)
                loss = step(Tensor(images[first]), Tensor(images[second]), Tensor(labels))
                losses[epoch, batch] = float(loss.asnumpy())
                progress.update()
            progress.set_postfix(loss=f"{losses[epoch].mean():.4f}")
            progress.write(f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}  loss {losses[epoch].mean():.4f}")
    return losses


def normalise(vectors):
    """Scale every row to length 1, which turns dot products into cosines."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embed(encoder, images):
    """Return the normalised embeddings of all images."""
    encoder.set_train(False)
    return normalise(encoder(Tensor(images)).asnumpy())


def verify(vectors, train_pairs, test_pairs):
    """Score pairs by the cosine of their vectors, with the threshold chosen on the training pairs alone."""
    train_scores, test_scores = (
        np.sum(vectors[pairs.first] * vectors[pairs.second], axis=1, keepdims=True)
        for pairs in (train_pairs, test_pairs)
    )
    # Logistic regression on one number is a threshold. The most accurate threshold on pairs the network has fitted
    # almost perfectly would be too strict for new ones.
    classifier = LogisticRegression().fit(train_scores, train_pairs.labels)
    return Verification(
        accuracy=classifier.score(test_scores, test_pairs.labels),
        auc=roc_auc_score(test_pairs.labels, test_scores),
        rates=roc_curve(test_pairs.labels, test_scores)[:2],
    )


def plot_losses(losses, path):
    """Draw the loss of every step and the mean of every epoch."""
    epochs, batches = losses.shape
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    axes.plot(np.arange(1, losses.size + 1) / batches, losses.ravel(), color="tab:blue", alpha=0.3, label="batch")
    # The mean of an epoch belongs to its middle.
    axes.plot(np.arange(epochs) + 0.5, losses.mean(axis=1), color="tab:blue", marker="o", label="mean of the epoch")
    axes.set(title="Training loss", xlabel="Epochs completed", ylabel="Cosine embedding loss", xlim=(0, epochs))
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def plot_roc(results, path):
    """Draw one ROC curve for every named result."""
    figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
    for name, result in results.items():
        axes.plot(*result.rates, label=f"{name} (AUC {result.auc:.3f})", lw=2)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="chance (AUC 0.500)")
    axes.set(title="Same digit or not: ROC curve on held-out pairs", aspect="equal", xlim=(-0.02, 1.02))
    axes.set(xlabel="False positive rate", ylabel="True positive rate", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def plot_embedding(vectors, digits, seed, path):
    """Draw the embeddings in two dimensions, coloured and labelled by digit."""
    # A low perplexity spreads the clusters enough to tell single images apart.
    points = TSNE(perplexity=10, metric="cosine", init="pca", random_state=seed).fit_transform(vectors)
    figure, axes = plt.subplots(figsize=(7.5, 6.5), layout="constrained")
    for digit, colour in enumerate(plt.get_cmap("tab10").colors):
        members = points[digits == digit]
        axes.scatter(*members.T, s=20, color=colour, alpha=0.8, linewidths=0, label=digit)
        # Above the cluster rather than on it, so that the name hides no points; few outliers do not move it.
        top = np.median(members[:, 0]), np.quantile(members[:, 1], 0.85)
        axes.annotate(digit, top, xytext=(0, 14), textcoords="offset points", ha="center", fontsize=16,
            fontweight="bold", color=colour)  # fmt: skip
    axes.set(title=f"Embeddings of the {len(digits)} held-out images (t-SNE of cosine distances)", aspect="equal")
    # Coordinates of t-SNE have no unit, so ticks would say nothing.
    axes.set(xlabel="t-SNE dimension 1", ylabel="t-SNE dimension 2", xticks=[], yticks=[])
    axes.margins(0.08)
    axes.legend(title="Digit", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=1.5)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def number(kind, low, high, description):
    """Return an argparse type that accepts a number of the given kind from ``low`` to ``high``."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {description}, got {text!r}")
        return value

    return parse


def parse_arguments():
    """Read the command line and create the output folder."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--loss", choices=("ms_cosine_loss", "mindspore"), default="ms_cosine_loss", help="whose loss to train with")
    add("--mode", choices=tuple(MODES), default="graph", help="MindSpore execution mode")
    add("--device", choices=("CPU", "GPU", "Ascend"), default="CPU", help="where to run")
    add("--epochs", type=number(int, 1, math.inf, "a whole number of at least 1"), default=10, help="training epochs")
    add("--seed", type=number(int, 0, 2**32 - 1, "a whole number from 0 to 2**32 - 1"), default=0, help="random seed")
    add("--margin", type=number(float, -1, 1, "a number from -1 to 1"), default=0.0,
        help="cosine below which pairs of different digits cost nothing")  # fmt: skip
    batch_size = number(int, 1, TRAIN_PAIRS_PER_EPOCH, f"a whole number from 1 to {TRAIN_PAIRS_PER_EPOCH}")
    add("--batch-size", type=batch_size, default=128, help="pairs per step")
    add("--learning-rate", type=number(float, 1e-8, 1, "a number from 1e-8 to 1"), default=2e-3, help="of Adam")
    add("--out", type=Path, default=Path("digit_verification_output"), help="folder for the pictures")
    args = parser.parse_args()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --out: cannot create the folder: {error}")
    return args


def main():
    """Train, evaluate and draw."""
    args = parse_arguments()
    mindspore.set_context(mode=MODES[args.mode])
    mindspore.set_device(args.device)
    mindspore.set_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    images, digits = load_images()
    train_pool, test_pool = train_test_split(
        np.arange(len(digits)), test_size=0.3, stratify=digits, random_state=args.seed
    )
    pairs = [draw_pairs(pool, digits, EVALUATION_PAIRS, rng) for pool in (train_pool, test_pool)]

    encoder = Encoder()
    optimizer = nn.Adam(encoder.trainable_params(), learning_rate=args.learning_rate)
    step = nn.TrainOneStepCell(SiameseWithLoss(encoder, build_loss(args.loss, args.margin)), optimizer)

    results = {"raw pixels": verify(normalise(images.reshape(len(images), -1)), *pairs)}
    results["before training"] = verify(embed(encoder, images), *pairs)
    losses = train(step, images, digits, train_pool, args.epochs, args.batch_size, rng)
    embeddings = embed(encoder, images)
    results["after training"] = verify(embeddings, *pairs)

    print(f"{len(pairs[1].labels)} held-out pairs of {len(test_pool)} images")
    for name, result in results.items():
        print(f"{name:<16} accuracy {result.accuracy:.4f}  AUC {result.auc:.4f}")

    plot_losses(losses, args.out / "loss_curve.png")
    plot_roc(results, args.out / "roc_curve.png")
    plot_embedding(embeddings[test_pool], digits[test_pool], args.seed, args.out / "embedding.png")
    print(f"pictures saved in {args.out}")


if __name__ == "__main__":
    main()
