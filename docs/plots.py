# Copyright 2026 The ms_cosine_loss authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
# http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Draws the plots of README and documentation into docs/_static: python docs/plots.py [NAME...]."""
import argparse
import csv
import hashlib
import pathlib

import matplotlib
import mindspore as ms
import numpy as np
from mindspore import Tensor

from ms_cosine_loss import CosineEmbeddingLoss

matplotlib.use('Agg')

from matplotlib import pyplot as plt  # noqa: E402

INK = {'light': '#24292f', 'dark': '#c9d1d9'}
COLORS = {'native': '#2f81f7', 'plain': '#3fb950', 'mindspore.nn': '#e5534b', 'torch': '#d29922'}
NAMES = {'torch': 'PyTorch'}
MARGINS = (0.0, 0.3, 0.6)
DOCS = pathlib.Path(__file__).resolve().parent
DATA = DOCS / 'data'


def _save(figure, path, data=None):
    """Writes the plot, with the digest of its data, by which a test tells whether it is up to date."""
    source = data and f'docs/data/{data} {hashlib.sha256((DATA / data).read_bytes()).hexdigest()}'
    figure.savefig(path, metadata={'Date': None, 'Source': source})
    plt.close(figure)


def _unit_vectors(cosines):
    """Returns pairs of unit vectors in the plane with the given cosines."""
    x2 = np.stack([cosines, np.sqrt(1 - cosines ** 2)], 1)
    return Tensor(np.tile([1.0, 0.0], (len(cosines), 1)), ms.float64), Tensor(x2, ms.float64)


def _loss_and_slope(cosines, label, margin):
    """The loss of each pair, and the norm of its gradient with respect to the first vector."""
    labels = Tensor(np.full(len(cosines), label), ms.int32)
    function = CosineEmbeddingLoss(margin, 'none')
    x1, x2 = _unit_vectors(cosines)
    losses = function(x1, x2, labels).asnumpy()
    gradient = ms.grad(lambda x1: function(x1, x2, labels).sum())(x1).asnumpy()
    return losses, np.linalg.norm(gradient, axis=1)


def margin(path):
    """Loss and gradient against the cosine, for both labels."""
    cosines = np.linspace(-1, 1, 801)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharex=True, layout='constrained')
    curves = [('label 1', 1, 0.0, '-')] + [(f'label -1, margin {each}', -1, each, '--') for each in MARGINS]
    for name, label, value, style in curves:
        losses, slope = _loss_and_slope(cosines, label, value)
        left.plot(cosines, losses, style, label=name)
        right.plot(cosines, slope, style, label=name)
    left.set(xlabel='cosine', ylabel='loss', title='The loss of a pair')
    right.set(xlabel='cosine', ylabel='norm of the gradient', title='Its gradient with respect to a unit vector')
    left.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    _save(figure, path)


def eps(path):
    """The loss of two parallel vectors as their norm shrinks."""
    norms = np.logspace(-9, 1, 401)
    x = Tensor(norms[:, None] * np.array([0.6, 0.8]), ms.float64)
    labels = Tensor(np.ones(len(norms)), ms.int32)
    figure, axes = plt.subplots(figsize=(6, 4), layout='constrained')
    for value in (1e-12, 1e-8, 1e-16):
        axes.loglog(norms, CosineEmbeddingLoss(reduction='none', eps=value)(x, x, labels).asnumpy(),
                    label=f'eps={value:g}')
    axes.set(xlabel='norm of both vectors', ylabel='loss of two equal vectors, label 1', ylim=(1e-17, 3),
             title='eps matters where squared norms are near it')
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def _read(name):
    with (DATA / name).open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _near_parallel(path, names, title):
    figure, axes = plt.subplots(figsize=(7, 4), layout='constrained')
    for contestant in names:
        points = [(float(row['one_minus_cos']), float(row['worst_relative_error']))
                  for row in _read('near_parallel.csv') if row['contestant'] == contestant]
        axes.loglog(*zip(*points), '.-', label=names[contestant], color=COLORS[contestant])
    axes.axhline(1, color='grey', linewidth=1)
    axes.annotate('no digit is right', (1, 1.6), color='grey', ha='right')
    axes.set(xlabel='1 − cos', ylabel='relative error of the loss', title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc='center left', bbox_to_anchor=(0, 0.42))
    _save(figure, path, 'near_parallel.csv')


def near_parallel(path):
    """The relative error of a similar pair's loss as the pair becomes parallel."""
    _near_parallel(path, {name: NAMES.get(name, name) for name in COLORS}, 'Error of a similar pair\'s loss, float32')


def error(path):
    """The plot of `near_parallel` for the README, without plain."""
    names = {'native': 'ms_cosine_loss', 'mindspore.nn': 'mindspore.nn', 'torch': 'PyTorch'}
    _near_parallel(path, names, 'Error of a similar pair\'s loss, float32, CPU')


def growth(path):
    """The cost of a call against the number of pairs, and against their length."""
    rows = _read('growth.csv')
    fixed = {name: max({row[name] for row in rows}, key=[row[name] for row in rows].count)
             for name in ('rows', 'length')}
    figure, panels = plt.subplots(2, 2, figsize=(10, 8), sharey='row', sharex='col', layout='constrained')
    for axes_row, (what, title) in zip(panels, (('forward', 'forward'), ('both', 'forward + backward'))):
        for axes, (varied, other) in zip(axes_row, (('rows', 'length'), ('length', 'rows'))):
            for contestant in dict.fromkeys(row['contestant'] for row in rows):
                points = sorted((int(row[varied]), float(row[f'{what}_least_ms'])) for row in rows
                                if row['contestant'] == contestant and row[other] == fixed[other])
                axes.loglog(*zip(*points), '.-', label=NAMES.get(contestant, contestant),
                            linewidth=2.5 if contestant == 'native' else 1.2)
            axes.set(title=f'{title}, ' + (f'pairs of {fixed[other]}' if varied == 'rows' else f'{fixed[other]} pairs'))
            axes.grid(alpha=0.3)
        axes_row[0].set(ylabel='fastest call, ms')
    panels[1][0].set(xlabel='pairs')
    panels[1][1].set(xlabel='elements of a vector')
    panels[0][0].legend()
    _save(figure, path, 'growth.csv')


def main():
    """Draws the plots that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split(':', maxsplit=1)[0])
    parser.add_argument('names', nargs='*', default=['margin', 'eps', 'near_parallel', 'growth', 'error'])
    # A fixed salt makes the ids inside reproducible, so that the same data give the same file.
    plt.rcParams.update({'svg.hashsalt': '', 'svg.fonttype': 'none'})
    static = DOCS / '_static'
    for name in parser.parse_args().names:
        draw = globals()[name]
        if draw is not error:
            draw(static / f'{name}.svg')
            continue
        for page, ink in INK.items():
            style = {'savefig.transparent': True, 'legend.framealpha': 0, 'axes.edgecolor': ink,
                     **dict.fromkeys(('text.color', 'axes.labelcolor', 'xtick.color', 'ytick.color'), ink)}
            with plt.rc_context(style):
                draw(static / f'{name}-{page}.svg')


if __name__ == '__main__':
    main()
