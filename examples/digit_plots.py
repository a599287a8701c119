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
"""The pictures of digit_verification.py."""
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.manifold import TSNE  # noqa: E402


def plot_losses(losses, path):
    """Draws the loss of every step and the mean of every epoch."""
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
    """Draws one ROC curve for every named result."""
    figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
    for name, (_, auc, rates) in results.items():
        axes.plot(*rates, label=f"{name} (AUC {auc:.3f})", lw=2)
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", label="chance (AUC 0.500)")
    axes.set(title="Same digit or not: ROC curve on held-out pairs", aspect="equal", xlim=(-0.02, 1.02))
    axes.set(xlabel="False positive rate", ylabel="True positive rate", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def plot_embedding(vectors, digits, seed, path):
    """Draws the embeddings in two dimensions, colored and labeled by digit."""
    # A low perplexity spreads the clusters enough to show single images.
    points = TSNE(perplexity=10, metric="cosine", init="pca", random_state=seed).fit_transform(vectors)
    figure, axes = plt.subplots(figsize=(7.5, 6.5), layout="constrained")
    for digit, color in enumerate(plt.get_cmap("tab10").colors):
        members = points[digits == digit]
        axes.scatter(*members.T, s=20, color=color, alpha=0.8, linewidths=0, label=digit)
        # Above the cluster, so that the label hides no points; a quantile, so that outliers do not move it.
        top = np.median(members[:, 0]), np.quantile(members[:, 1], 0.85)
        axes.annotate(digit, top, xytext=(0, 14), textcoords="offset points", ha="center", fontsize=16,
            fontweight="bold", color=color)  # fmt: skip
    axes.set(title=f"Embeddings of the {len(digits)} held-out images (t-SNE of cosine distances)", aspect="equal")
    # t-SNE coordinates have no unit, so ticks would be meaningless.
    axes.set(xlabel="t-SNE dimension 1", ylabel="t-SNE dimension 2", xticks=[], yticks=[])
    axes.margins(0.08)
    axes.legend(title="Digit", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=1.5)
    figure.savefig(path, dpi=150)
    plt.close(figure)
