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
"""Writes PyTorch's float64 results to pytorch.json: ``python -m tests.goldens.make_pytorch_goldens``."""
import json
import pathlib

import numpy as np

GOLDENS = pathlib.Path(__file__).parent / 'pytorch.json'
SEED = 20260113

ROWS, LENGTH = 6, 5

# Name: kind of the rows, reduction, margin.
CASES = {
    'ordinary none': ('ordinary', 'none', 0.0),
    'ordinary sum': ('ordinary', 'sum', 0.0),
    'ordinary mean': ('ordinary', 'mean', 0.0),
    'margin 0.3 none': ('ordinary', 'none', 0.3),
    'margin 0.5 mean': ('ordinary', 'mean', 0.5),
    'margin -1 sum': ('ordinary', 'sum', -1.0),
    'zero rows none': ('zero rows', 'none', -0.25),
    'zero rows mean': ('zero rows', 'mean', 0.1),
    'nearly parallel none': ('nearly parallel', 'none', 0.2),
    'nearly parallel mean': ('nearly parallel', 'mean', 0.0),
    'tiny norms none': ('tiny norms', 'none', -0.5),
    'tiny norms sum': ('tiny norms', 'sum', 0.0),
    'unbatched none': ('unbatched', 'none', 0.0),
    'unbatched mean': ('unbatched', 'mean', -0.7),
}


def draw(kind, reduction, margin, rng, rows=ROWS, length=LENGTH):
    """Draws one case's inputs; the logits are float32 numbers, so that they are the same in both dtypes."""
    shape = (length,) if kind == 'unbatched' else (rows, length)
    x1, x2 = rng.normal(size=shape), rng.normal(size=shape)
    labels = np.array(-1) if kind == 'unbatched' else np.resize([1, -1], rows)
    if kind == 'ordinary':
        # Norms from 1e-3 to 1e3, and an ignored label.
        x1 *= 10.0 ** rng.uniform(-3, 3, size=(rows, 1))
        labels[-1] = 0
    if kind == 'zero rows':
        x1[:2], x2[1:4] = 0, 0
    if kind == 'nearly parallel':
        x2 = x1 * np.resize([1.0, 1.0, -1.0, -1.0], rows)[:, None] + 1e-5 * x2
    if kind == 'tiny norms':
        # Squared norms comparable to eps, so that its definition matters.
        x1, x2 = 1e-6 * x1, 1e-6 * x2
    x1, x2 = (x.astype(np.float32).astype(np.float64) for x in (x1, x2))
    return {'reduction': reduction, 'margin': margin, 'x1': x1, 'x2': x2, 'labels': labels,
            'upstream': rng.normal(size=labels.shape),
            'direction1': rng.normal(size=shape), 'direction2': rng.normal(size=shape)}


def answer(case):
    """PyTorch's results for a case, in the dtype of its logits.

    The gradients are those of the loss, for 'none' of the sum of the losses weighted by `upstream`. The second
    derivatives, times the directions, are those of the squared loss, for 'none' of the sum of the squares.
    """
    # Imported here, because tests import this module without PyTorch.
    import torch
    x1 = torch.tensor(case['x1'], requires_grad=True)
    x2 = torch.tensor(case['x2'], requires_grad=True)
    value = torch.nn.functional.cosine_embedding_loss(
        x1, x2, torch.tensor(case['labels']), margin=case['margin'], reduction=case['reduction'])
    upstream = torch.tensor(case['upstream']) if case['reduction'] == 'none' else torch.ones(())
    gradients = torch.autograd.grad((value * upstream).sum(), (x1, x2), retain_graph=True)
    slopes = torch.autograd.grad((value * value).sum(), (x1, x2), create_graph=True)
    along = sum((slope * torch.tensor(case[direction])).sum()
                for slope, direction in zip(slopes, ('direction1', 'direction2')))
    curvatures = torch.autograd.grad(along, (x1, x2))
    return {'value': value.detach().numpy(),
            'gradient1': gradients[0].numpy(), 'gradient2': gradients[1].numpy(),
            'curvature1': curvatures[0].numpy(), 'curvature2': curvatures[1].numpy()}


def published_example(dtype):
    """The loss of the example in MindSpore's documentation, in 'float32' or 'float64'."""
    import torch
    dtype = getattr(torch, dtype)
    return torch.nn.functional.cosine_embedding_loss(
        torch.tensor([[0.3, 0.8], [0.4, 0.3]], dtype=dtype), torch.tensor([[0.4, 1.2], [-0.4, -0.9]], dtype=dtype),
        torch.tensor([1, -1])).item()


def load():
    """The file as a dict, the lists of each case as arrays."""
    goldens = json.loads(GOLDENS.read_text('utf-8'))
    for case in goldens['cases'].values():
        for name, numbers in case.items():
            if name not in ('reduction', 'margin'):
                case[name] = np.array(numbers)
    return goldens


def _main():
    import torch
    rng = np.random.default_rng(SEED)
    lines = []
    for name, settings in CASES.items():
        case = draw(*settings, rng)
        case.update(answer(case))
        # repr round-trips floats; one line per case keeps diffs readable.
        case = {key: field.tolist() if isinstance(field, np.ndarray) else field for key, field in case.items()}
        lines.append(f'    {json.dumps(name)}: {json.dumps(case, allow_nan=False)}')
    head = {'torch': torch.__version__, 'seed': SEED,
            'published': {dtype: published_example(dtype) for dtype in ('float32', 'float64')}}
    head = ',\n'.join(f'  {json.dumps(key)}: {json.dumps(value)}' for key, value in head.items())
    GOLDENS.write_text(f'{{\n{head},\n  "cases": {{\n' + ',\n'.join(lines) + '\n  }\n}\n', 'utf-8')


if __name__ == '__main__':
    _main()
