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
"""Trains on several workers: each computes the loss of its shard of a batch, and all take the same step.

    msrun --worker_num=2 --local_worker_num=2 --join=True examples/distributed.py --out weights.npz

trains two workers on this machine; see `msrun --help` for several machines. The loss needs no setting: it is the mean
over a worker's pairs, and MindSpore averages the gradients. Without msrun,

    python examples/distributed.py --out weights.npz

trains one worker on whole batches, to the same weights.
"""
import argparse
import os

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor, nn
from mindspore.communication import get_group_size, get_rank, init

from ms_cosine_loss import CosineEmbeddingLoss

PAIRS = 512
FEATURES = 16
EMBEDDING = 8
BATCH = 32


def build_encoder():
    """Returns an encoder with the same initial weights on every worker."""
    weights = np.random.default_rng(0).standard_normal((2, FEATURES, FEATURES)).astype(np.float32) / FEATURES ** 0.5
    return nn.SequentialCell(
        nn.Dense(FEATURES, FEATURES, weight_init=Tensor(weights[0]), bias_init='zeros'), nn.Tanh(),
        nn.Dense(FEATURES, EMBEDDING, weight_init=Tensor(weights[1, :EMBEDDING]), bias_init='zeros'))


def pairs(batch, workers, rank):
    """A worker's shard of each batch. Similar pairs are noisy copies; dissimilar ones are independent."""
    rng = np.random.default_rng(1)
    x1 = rng.standard_normal((PAIRS, FEATURES)).astype(np.float32)
    labels = rng.choice([-1, 1], PAIRS).astype(np.int32)
    noise = rng.standard_normal((PAIRS, FEATURES)).astype(np.float32)
    x2 = np.where(labels[:, None] == 1, x1 + 0.5 * noise, noise)
    rows = ds.NumpySlicesDataset((x1, x2, labels), ['x1', 'x2', 'labels'], shuffle=False, num_shards=workers,
                                 shard_id=rank)
    return rows.batch(batch // workers)


def main():
    """Trains, prints the loss and saves the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--mode', choices=['graph', 'pynative'], default='graph')
    parser.add_argument('--device', choices=['CPU', 'GPU', 'Ascend'], default='CPU')
    parser.add_argument('--epochs', type=int, default=2)
    parser.add_argument('--out', default='weights.npz', help='file for the weights of the first worker')
    parser.add_argument('--against', help='file of earlier weights to compare with')
    arguments = parser.parse_args()
    ms.set_context(mode=ms.GRAPH_MODE if arguments.mode == 'graph' else ms.PYNATIVE_MODE)
    ms.set_device(arguments.device)
    # msrun sets MS_WORKER_NUM for its workers.
    workers, rank = 1, 0
    if 'MS_WORKER_NUM' in os.environ:
        init()
        workers, rank = get_group_size(), get_rank()
        ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)

    encoder, loss = build_encoder(), CosineEmbeddingLoss(margin=0.2)
    optimizer = nn.Momentum(encoder.trainable_params(), learning_rate=0.2, momentum=0.9)

    def forward(x1, x2, labels):
        return loss(encoder(x1), encoder(x2), labels)

    step = ms.value_and_grad(forward, None, optimizer.parameters)
    average = nn.DistributedGradReducer(optimizer.parameters) if workers > 1 else None
    for epoch in range(1, arguments.epochs + 1):
        losses = []
        for batch in pairs(BATCH, workers, rank).create_tuple_iterator(num_epochs=1):
            value, gradients = step(*batch)
            optimizer(average(gradients) if average else gradients)
            losses.append(float(value))
        print(f'worker {rank} of {workers}, epoch {epoch}: loss {np.mean(losses):.7f}', flush=True)
    if rank == 0:
        weights = {each.name: each.asnumpy() for each in encoder.trainable_params()}
        np.savez(arguments.out, **weights)
        if arguments.against:
            others = np.load(arguments.against)
            largest = max(np.abs(weights[name] - others[name]).max() for name in weights)
            print(f'largest difference from {arguments.against}: {largest:.2g}')


if __name__ == '__main__':
    main()
