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
"""Trains a Siamese network to tell whether two handwritten digits are the same.

    python examples/digit_verification.py [--mode pynative] [--loss mindspore] [--blank 0.02] [--out digits]

One encoder embeds both images of a pair. The loss pulls the embeddings of the same digit (label 1) together and pushes
those of different digits (label -1) apart. The data are the 1797 scans that scikit-learn ships; no training image is in
a held-out pair. With --blank, some training scans are blank pages, whose embedding is a row of zeros.
"""
import argparse
from pathlib import Path

import digit_plots
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.dataset import NumpySlicesDataset
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from ms_cosine_loss import CosineEmbeddingLoss


def build_encoder(features=32):
    """Maps images (N, 1, 8, 8) to embeddings (N, features)."""
    return nn.SequentialCell(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(8, 32, 3), nn.ReLU(), nn.Flatten(),
        nn.Dense(32 * 4 * 4, features, has_bias=False))


def draw_pairs(pool, digits, count, rng):
    """Draws `count` distinct pairs of images, half of the same digit; returns two index arrays and the labels."""
    first, second = pool[np.stack(np.triu_indices(len(pool), k=1))]
    same = digits[first] == digits[second]
    chosen = np.concatenate([rng.choice(np.flatnonzero(each), count // 2, replace=False) for each in (same, ~same)])
    rng.shuffle(chosen)
    return first[chosen], second[chosen], np.where(same[chosen], 1, -1).astype(np.int32)


def train(encoder, loss, images, digits, pool, rng, args):
    """Trains on fresh pairs in each epoch; returns the losses, one row per epoch."""
    optimizer = nn.Adam(encoder.trainable_params(), args.learning_rate)

    def forward(left, right, labels):
        return loss(encoder(left), encoder(right), labels)

    step = ms.value_and_grad(forward, None, optimizer.parameters)
    losses = []
    for epoch in range(1, args.epochs + 1):
        first, second, labels = draw_pairs(pool, digits, 6400, rng)
        pairs = NumpySlicesDataset((images[first], images[second], labels), shuffle=False)
        pairs = pairs.batch(args.batch_size, drop_remainder=True)
        progress = tqdm(pairs.create_tuple_iterator(num_epochs=1), f"epoch {epoch}/{args.epochs}", len(pairs))
        for batch in progress:
            value, gradients = step(*batch)
            optimizer(gradients)
            losses.append(float(value))
            progress.set_postfix(loss=f"{np.mean(losses[-len(pairs):]):.4f}")
            if np.isnan(losses[-1]):
                raise SystemExit(f"the loss is NaN at step {len(losses)}")
    return np.reshape(losses, (args.epochs, -1))


def evaluate(vectors, train_pairs, test_pairs):
    """Accuracy, AUC and ROC curve of the held-out pairs' cosines; the threshold is fitted on training pairs."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    known, held_out = (np.sum(vectors[first] * vectors[second], axis=1, keepdims=True)
                       for first, second, _ in (train_pairs, test_pairs))
    classifier = LogisticRegression().fit(known, train_pairs[2])
    labels = test_pairs[2]
    return classifier.score(held_out, labels), roc_auc_score(labels, held_out), roc_curve(labels, held_out)[:2]


def parse_arguments():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--loss", choices=("ms_cosine_loss", "mindspore"), default="ms_cosine_loss",
                        help="loss to train with")
    parser.add_argument("--mode", choices=("graph", "pynative"), default="graph", help="MindSpore execution mode")
    parser.add_argument("--device", choices=("CPU", "GPU", "Ascend"), default="CPU", help="where to run")
    parser.add_argument("--epochs", type=int, default=10, help="training epochs of 6400 pairs")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--margin", type=float, default=0.0,
                        help="dissimilar pairs with a cosine up to this have zero loss")
    parser.add_argument("--batch-size", type=int, default=128, help="pairs per step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="learning rate of Adam")
    parser.add_argument("--blank", type=float, default=0.0, help="fraction of the training scans that are empty")
    parser.add_argument("--out", type=Path, default=Path("digit_verification_output"), help="folder for the pictures")
    return parser.parse_args()


def main():
    """Trains, evaluates and draws."""
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    ms.set_context(mode=ms.GRAPH_MODE if args.mode == "graph" else ms.PYNATIVE_MODE)
    ms.set_device(args.device)
    ms.set_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    images, digits = load_digits(return_X_y=True)
    images = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    train_pool, test_pool = train_test_split(np.arange(len(digits)), test_size=0.3, stratify=digits,
                                             random_state=args.seed)
    pairs = [draw_pairs(pool, digits, 8000, rng) for pool in (train_pool, test_pool)]
    images[train_pool[:round(args.blank * len(train_pool))]] = 0

    encoder = build_encoder()
    loss = (CosineEmbeddingLoss if args.loss == "ms_cosine_loss" else nn.CosineEmbeddingLoss)(args.margin)
    results = {"raw pixels": evaluate(images.reshape(len(images), -1), *pairs),
               "before training": evaluate(encoder(Tensor(images)).asnumpy(), *pairs)}
    losses = train(encoder, loss, images, digits, train_pool, rng, args)
    vectors = encoder(Tensor(images)).asnumpy()
    results["after training"] = evaluate(vectors, *pairs)

    print(f"{len(pairs[1][2])} held-out pairs of {len(test_pool)} images")
    for name, (accuracy, auc, _) in results.items():
        print(f"{name:<16} accuracy {accuracy:.4f}  AUC {auc:.4f}")
    digit_plots.plot_losses(losses, args.out / "loss_curve.png")
    digit_plots.plot_roc(results, args.out / "roc_curve.png")
    digit_plots.plot_embedding(vectors[test_pool], digits[test_pool], args.seed, args.out / "embedding.png")
    print(f"pictures saved in {args.out}")


if __name__ == "__main__":
    main()
