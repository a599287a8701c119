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
"""MindSpore's compile cache, which identifies graphs by their source, not by the attributes of a Cell."""
import pytest

from tests.processes import run

# Prints the loss of a dissimilar pair whose cosine is 0.96, and the implementation selected; none is if the graph comes
# from the cache.
_CODE = """
import sys
import mindspore as ms
from mindspore import Tensor, nn
import ms_cosine_loss
from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss
loss, margin, implementation, folder = sys.argv[1:]
ms.set_context(mode=ms.GRAPH_MODE, enable_compile_cache=True, compile_cache_path=folder)
ms_cosine_loss.set_implementation(implementation)
x1, x2, labels = Tensor([[3.0, 4.0]]), Tensor([[4.0, 3.0]]), Tensor([-1], ms.int32)


class ByArgument(nn.Cell):
    def construct(self, *inputs):
        return cosine_embedding_loss(*inputs)


if loss == 'function':
    found = ByArgument()(x1, x2, labels, Tensor(float(margin), ms.float32))
else:
    found = {'Cell': CosineEmbeddingLoss, 'mindspore.nn': nn.CosineEmbeddingLoss}[loss](float(margin))(x1, x2, labels)
source = '' if loss == 'mindspore.nn' else ms_cosine_loss.get_implementation_status().last or 'from the cache'
print(round(float(found), 4), source)
"""


@pytest.mark.parametrize(('loss', 'margin', 'implementation', 'folder', 'expected'), [
    ('Cell', 0.5, 'auto', 'cache', '0.96 from the cache'),
    ('mindspore.nn', 0.5, 'auto', 'cache', '0.96'),
    ('Cell', 0.0, 'plain', 'cache', '0.96 from the cache'),
    ('Cell', 0.5, 'auto', 'another', '0.46 native'),
    ('function', 0.5, 'auto', 'cache', '0.46 from the cache')],
    ids=['Cell, another margin', 'mindspore.nn, another margin', 'plain after native',
         'another margin, separate cache', 'another margin as an argument'])
def test_compile_cache(tmp_path, outcome, loss, margin, implementation, folder, expected):
    """A second process finds a graph in the compile cache."""
    # The cache is keyed by the script with which a process was started.
    script = tmp_path / 'script.py'
    script.write_text(_CODE, 'utf-8')
    first = run([script, loss, '0', 'auto', 'cache'], tmp_path)
    second = run([script, loss, str(margin), implementation, folder], tmp_path)
    outcome(f'margin 0: {first}; then margin {margin:g}: {second}')
    assert first.startswith('0.96')
    assert second == expected
