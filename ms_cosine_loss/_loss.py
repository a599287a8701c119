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
"""The cosine embedding loss as a Cell and as a function."""
from typing import Any, Union

from mindspore import Tensor, nn

from ms_cosine_loss._calls import check_call, checks_its_call, checks_its_settings, refuse_get_loss
from ms_cosine_loss._checks import check_inputs, check_margin, check_settings, check_tensors, warn_of_zeros
from ms_cosine_loss._graphs import is_compiling
from ms_cosine_loss._select import loss


def _checked_loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str,
                  axis: int, eps: float) -> Tensor:
    if isinstance(margin, Tensor):
        check_margin(margin.shape, margin.dtype)
        _, axis, eps = check_settings(0.0, reduction, axis, eps)
    else:
        margin, axis, eps = check_settings(margin, reduction, axis, eps)
    check_tensors(isinstance(logits_x1, Tensor), isinstance(logits_x2, Tensor), isinstance(labels, Tensor),
                  logits_x1, logits_x2, labels)
    axis = check_inputs(logits_x1.shape, logits_x2.shape, labels.shape,
                        logits_x1.dtype, logits_x2.dtype, labels.dtype, axis)
    if not is_compiling():
        warn_of_zeros(labels)
    return loss(logits_x1, logits_x2, labels, margin, reduction, axis, eps)


@checks_its_call
def cosine_embedding_loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor] = 0.0,
                          reduction: str = 'mean', *, axis: int = 1, eps: float = 1e-12) -> Tensor:
    r"""
    Computes the cosine embedding loss of pairs of vectors, similar (label 1) or dissimilar (label -1).

    With :math:`x_1` and :math:`x_2` the two vectors of a pair and :math:`y` its label:

    .. math::
        \cos(x_1, x_2) = \frac{x_1 \cdot x_2}
        {\sqrt{(\lVert x_1 \rVert^2 + \epsilon)(\lVert x_2 \rVert^2 + \epsilon)}}

    .. math::
        loss(x_1, x_2, y) = \begin{cases}
        1 - \cos(x_1, x_2), & \text{if } y = 1\\
        \max(0, \cos(x_1, x_2) - margin), & \text{if } y = -1\\
        0, & \text{otherwise}
        \end{cases}

    See :class:`ms_cosine_loss.CosineEmbeddingLoss` for numerical behaviour; the Cell calls this function.

    Args:
        logits_x1 (Tensor): The first vector of each pair, along `axis`. Shape :math:`(N, D)`, :math:`(D,)`,
            :math:`(N, D, *)`, or any other of at least one dimension. The dtype is float16, bfloat16, float32 or
            float64.
        logits_x2 (Tensor): The second vector of each pair. Same dtype, same rank and same length along `axis` as
            `logits_x1`; the other axes broadcast.
        labels (Tensor): 1 for a similar pair, -1 for a dissimilar one; a pair with any other label has loss 0 and
            gradient 0. The shape is the common shape of the logits without `axis`. The dtype is int8, int16, int32,
            int64, float16, bfloat16, float32 or float64.
        margin (Union[float, Tensor], optional): Dissimilar pairs with cosine ≤ `margin` have zero loss. A number in
            [-1, 1], or a Tensor of shape :math:`()` and dtype float16, bfloat16, float32 or float64, whose value is not
            checked: it is an input of the compiled graph, and has a gradient. Default: ``0.0`` .
        reduction (str, optional): ``'none'`` for the loss of each pair, ``'mean'`` for the sum of the losses divided
            by the number of labels, ``'sum'`` for their sum. Default: ``'mean'`` .

    Keyword Args:
        axis (int, optional): The axis of the vectors. For 1-D logits it is that of the single dimension.
            Default: ``1`` .
        eps (float, optional): Added to each squared norm. 0 gives the exact cosine. Default: ``1e-12`` .

    Returns:
        Tensor of the dtype of the logits. The shape of `labels` if `reduction` is ``'none'`` , otherwise a scalar.

    Raises:
        TypeError: If `logits_x1`, `logits_x2` or `labels` is not a Tensor, or its dtype is not listed above.
        TypeError: If `logits_x1` and `logits_x2` differ in dtype.
        TypeError: If `margin` is neither a real number nor a Tensor of a dtype listed above, `eps` is not a real
            number, `reduction` is not a str, a bool or None, or `axis` is not an int.
        ValueError: If `margin` is a number outside [-1, 1] or a Tensor with axes, or `eps` is negative or not finite.
        ValueError: If `reduction` is not ``'none'`` , ``'mean'`` or ``'sum'`` (bool and None included).
        ValueError: If `axis` is out of range, or the shapes do not fit.
        RuntimeError: If dynamic shapes do not fit when the graph runs (native).

    Supported Platforms:
        ``Ascend`` ``GPU`` ``CPU``

        - CPU: native (the compiled kernel) and plain (MindSpore operators); the test suite runs on x86-64. On aarch64
          only the kernel has run, emulated.
        - Ascend, GPU: plain. Its operators are dispatched there in tests with stand-in libraries; nothing has run on a
          device. On GPU bfloat16 needs graph mode.

    Examples:
        >>> import mindspore as ms
        >>> from mindspore import Tensor
        >>> from ms_cosine_loss import cosine_embedding_loss
        >>> anchor = Tensor([[1.0, 0.0]], ms.float32)
        >>> batch = Tensor([[2.0, 0.0], [3.0, 4.0], [0.0, 1.0]], ms.float32)
        >>> labels = Tensor([1, -1, -1], ms.int32)
        >>> losses = cosine_embedding_loss(anchor, batch, labels, margin=0.5, reduction='none')
        >>> print(losses.asnumpy().round(6))
        [0.  0.1 0. ]
    """
    return _checked_loss(logits_x1, logits_x2, labels, margin, reduction, axis, eps)


class CosineEmbeddingLoss(nn.LossBase):
    r"""
    Computes the cosine embedding loss of pairs of vectors, similar (label 1) or dissimilar (label -1).

    With :math:`x_1` and :math:`x_2` the two vectors of a pair and :math:`y` its label:

    .. math::
        \cos(x_1, x_2) = \frac{x_1 \cdot x_2}
        {\sqrt{(\lVert x_1 \rVert^2 + \epsilon)(\lVert x_2 \rVert^2 + \epsilon)}}

    .. math::
        loss(x_1, x_2, y) = \begin{cases}
        1 - \cos(x_1, x_2), & \text{if } y = 1\\
        \max(0, \cos(x_1, x_2) - margin), & \text{if } y = -1\\
        0, & \text{otherwise}
        \end{cases}

    The formula is that of ``torch.nn.CosineEmbeddingLoss``, whose `eps` is fixed at 1e-12. The loss is never negative,
    and a vector of zeros has cosine 0. float16 and bfloat16 are computed in float32 or wider and rounded once, at the
    end.

    Note:
        - The settings are fixed, because a compiled graph would keep the old ones. To change one, create a new loss, or
          pass a margin that changes during training to :func:`ms_cosine_loss.cosine_embedding_loss`.
        - A vector of zeros gets a large gradient, as in PyTorch: the other vector divided by its norm and by
          :math:`\sqrt{\epsilon}`, 1e6 times a unit vector by default. With ``eps=0`` it is 0.
        - A dissimilar pair with :math:`\cos = margin` has a gradient, as in PyTorch.
        - NaN or infinity in a pair labelled 1 or -1 gives NaN for that pair; with any other label the pair has loss 0
          and gradient 0.
        - Native gives a finite loss for every finite input. Plain takes every float16 vector, but needs norms
          below 1.8e19 in bfloat16 and float32 and below 1.3e154 in float64; beyond them the loss is NaN, or that of
          cosine 0. Its gradients underflow sooner, and sooner still for means over large batches. See
          :func:`ms_cosine_loss.set_implementation`.
        - In PyNative on CPU, a warning appears once if the labels of the first calls are all 0 or 1.
        - With dynamic shapes in graph mode, native checks unknown shapes when the graph runs, and raises a RuntimeError
          if they do not fit. Plain does not check them: length-1 labels then broadcast, and with dynamic rank the
          logits must have at least two dimensions.

    Args:
        margin (float, optional): Dissimilar pairs with cosine ≤ `margin` have zero loss. In [-1, 1].
            Default: ``0.0`` .
        reduction (str, optional): ``'none'`` for the loss of each pair, ``'mean'`` for the sum of the losses divided
            by the number of labels, ``'sum'`` for their sum. Default: ``'mean'`` .

    Keyword Args:
        axis (int, optional): The axis of the vectors. For 1-D logits it is that of the single dimension.
            Default: ``1`` .
        eps (float, optional): Added to each squared norm. 0 gives the exact cosine. Default: ``1e-12`` .

    Inputs:
        - **logits_x1** (Tensor) - The first vector of each pair, along `axis`. Shape :math:`(N, D)`, :math:`(D,)`,
          :math:`(N, D, *)`, or any other of at least one dimension. The dtype is float16, bfloat16, float32 or
          float64.
        - **logits_x2** (Tensor) - The second vector of each pair. Same dtype, same rank and same length along `axis`
          as `logits_x1`; the other axes broadcast.
        - **labels** (Tensor) - 1 for a similar pair, -1 for a dissimilar one; a pair with any other label has loss 0
          and gradient 0. The shape is the common shape of the logits without `axis`. The dtype is int8, int16, int32,
          int64, float16, bfloat16, float32 or float64.

    Outputs:
        Tensor of the dtype of the logits. The shape of `labels` if `reduction` is ``'none'`` , otherwise a scalar.

    Raises:
        TypeError: If `logits_x1`, `logits_x2` or `labels` is not a Tensor, or its dtype is not listed above.
        TypeError: If `logits_x1` and `logits_x2` differ in dtype.
        TypeError: If `margin` or `eps` is not a real number, `reduction` is not a str, a bool or None, or `axis` is not
            an int.
        ValueError: If `margin` is not in [-1, 1], or `eps` is negative or not finite.
        ValueError: If `reduction` is not ``'none'`` , ``'mean'`` or ``'sum'`` (bool and None included).
        ValueError: If `axis` is out of range, or the shapes do not fit.
        RuntimeError: If dynamic shapes do not fit when the graph runs (native).
        AttributeError: If a setting is assigned after construction.

    Supported Platforms:
        ``Ascend`` ``GPU`` ``CPU``

        - CPU: native (the compiled kernel) and plain (MindSpore operators); the test suite runs on x86-64. On aarch64
          only the kernel has run, emulated.
        - Ascend, GPU: plain. Its operators are dispatched there in tests with stand-in libraries; nothing has run on a
          device. On GPU bfloat16 needs graph mode.

    Examples:
        >>> import mindspore as ms
        >>> from mindspore import Tensor
        >>> from ms_cosine_loss import CosineEmbeddingLoss
        >>> logits_x1 = Tensor([[0.3, 0.8], [0.4, 0.3]], ms.float64)
        >>> logits_x2 = Tensor([[0.4, 1.2], [-0.4, -0.9]], ms.float64)
        >>> labels = Tensor([1, -1], ms.int32)
        >>> loss = CosineEmbeddingLoss()
        >>> print(round(float(loss(logits_x1, logits_x2, labels)), 12))
        0.000342583117
        >>> hidden = Tensor([[[3.0, 4.0], [0.0, 0.0]]], ms.float32)
        >>> target = Tensor([[[4.0, 3.0], [1.0, 0.0]]], ms.float32)
        >>> padding_mask = Tensor([[1, 0]], ms.int32)
        >>> loss = CosineEmbeddingLoss(reduction='sum', axis=-1)
        >>> print(round(float(loss(hidden, target, padding_mask)), 6))
        0.04
    """

    # Mixed precision at level O1 rewrites the source of `construct` and of everything it calls except static methods.
    _function = staticmethod(_checked_loss)
    _check_call = check_call
    _refuse_get_loss = refuse_get_loss
    _SETTINGS = ('margin', 'reduction', 'axis', 'eps')

    @checks_its_settings
    def __init__(self, margin: float = 0.0, reduction: str = 'mean', *, axis: int = 1, eps: float = 1e-12) -> None:
        """Initialize CosineEmbeddingLoss."""
        margin, axis, eps = check_settings(margin, reduction, axis, eps)
        # Skip LossBase.__init__: its primitives cannot be pickled, and its get_loss casts float64 to float32.
        super(nn.LossBase, self).__init__()
        self.margin = margin
        self.reduction = reduction
        self.axis = axis
        self.eps = eps

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses to change a setting, which compiled graphs would not see."""
        self._refuse_to_change(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Refuses to delete a setting, which would allow changing it."""
        self._refuse_to_change(name)
        super().__delattr__(name)

    def _refuse_to_change(self, name: str) -> None:
        if name in self._SETTINGS and name in self.__dict__:
            hint = " or pass the margin to 'cosine_embedding_loss' as a Tensor" if name == 'margin' else ''
            raise AttributeError(f"For 'CosineEmbeddingLoss', the '{name}' cannot be changed, because compiled graphs "
                                 f"would keep the old one. Create a new CosineEmbeddingLoss{hint}.")

    def __call__(self, *inputs: Any, **others: Any) -> Any:
        """Rejects a wrong call with the same message in both modes."""
        # Here, because vmap and jit count the parameters of `construct`.
        if len(inputs) != 3 or len(others) > 0:
            self._check_call('loss', len(inputs), tuple(others), *inputs, *others.values())
        return super().__call__(*inputs, **others)

    def construct(self, logits_x1: Tensor, logits_x2: Tensor, labels: Tensor) -> Tensor:
        """The loss; see `cosine_embedding_loss`."""
        return self._function(logits_x1, logits_x2, labels, self.margin, self.reduction, self.axis, self.eps)

    def get_loss(self, x: Any, weights: Any = 1.0) -> None:
        """Raises, because LossBase would reduce in float32."""
        self._refuse_get_loss()

    def extend_repr(self) -> str:
        """The settings, as `repr` shows them."""
        return f'margin={self.margin}, reduction={self.reduction!r}, axis={self.axis}, eps={self.eps}'
