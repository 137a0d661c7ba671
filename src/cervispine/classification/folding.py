"""A copy of a network that only reads: batch norm folded into convolutions, weights packed."""

from __future__ import annotations

import copy
import io
import logging
import operator
from collections.abc import Callable
from contextlib import redirect_stderr

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.node import Argument
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

from cervispine.classification.pooling import AttentionOverSlices, PooledSlices, slices_apart

__all__ = ["TOLERANCE", "largest_difference", "reading_copy"]

logger = logging.getLogger("cervispine.inference")

#: How far a probability may lie from that of the network as it was trained.
TOLERANCE = 1e-5


@torch.no_grad()
def reading_copy(network: nn.Module, probe: torch.Tensor) -> tuple[nn.Module, str]:
    """Return the fastest network that answers as the given one does, and what was done to it.

    A network of another author may do what cannot be traced, or what no rewriting keeps. So
    nothing is believed: each copy must give the probabilities of the original on the probe, on
    all its images together and on one alone, within :data:`TOLERANCE`; else a plainer one is
    tried, and at last the network itself is taken.

    Parameters
    ----------
    network
        In evaluation mode, float32; left as it is.
    probe
        float32 (n, channels, rows, columns) on the network's device.

    Returns
    -------
    tuple
        The network, and "packed", "folded" or "plain".
    """
    ways: dict[str, Callable[[nn.Module, torch.Tensor], nn.Module]] = {"folded": _folded}
    if probe.device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        ways = {"packed": _packed, **ways}
    expected = network(probe)
    for name, make in ways.items():
        try:
            made = _within_pooling(network, probe, make).eval()
            difference = largest_difference(made, expected, probe)
        except Exception as error:
            logger.debug("the network cannot be %s: %s", name, type(error).__name__)
            continue
        if difference <= TOLERANCE:
            return made, name
        logger.debug("the %s network differs by %.1e", name, difference)
    return network, "plain"


def largest_difference(
    network: Callable[[torch.Tensor], torch.Tensor], expected: torch.Tensor, probe: torch.Tensor
) -> float:
    """Return how far probabilities of a network lie from those expected; infinity for NaN.

    Parameters
    ----------
    network
        Maps images to logits (n, classes).
    expected
        Logits of the probe.
    probe
        At least two images: they are read together, and the first once more by itself.
    """
    differences = [
        (torch.softmax(network(images), 1) - torch.softmax(logits, 1)).abs().max()
        for images, logits in ((probe, expected), (probe[:1], expected[:1]))
    ]
    return float(torch.stack(differences).nan_to_num(nan=torch.inf).max())


def _within_pooling(
    network: nn.Module, probe: torch.Tensor, make: Callable[[nn.Module, torch.Tensor], nn.Module]
) -> nn.Module:
    """Rewrite the backbone of a network, which its pooling over slices may enclose."""
    if not isinstance(network, (PooledSlices, AttentionOverSlices)):
        return make(network, probe)
    pooled = copy.deepcopy(network)
    pooled.network = make(network.network, slices_apart(probe, network.slices))
    return pooled


def _folded(network: nn.Module, _images: torch.Tensor) -> nn.Module:
    return fuse(network).to(memory_format=torch.channels_last)


class PackedConvolution(nn.Module):
    """A convolution whose weights lie as oneDNN computes, with what follows it in the same pass.

    The operators are those that torch's own compiler puts in the place of a convolution whose
    weights do not change.

    Parameters
    ----------
    convolution
        Its weights are copied.
    size
        Of the images it is given, (n, channels, rows, columns).
    after
        "none" or "relu".
    """

    def __init__(self, convolution: nn.Conv2d, size: list[int], after: str) -> None:
        super().__init__()
        self.after = after
        self.bias = None if convolution.bias is None else convolution.bias.detach()
        shape = (convolution.padding, convolution.stride, convolution.dilation)
        self.shape = (*(list(each) for each in shape), convolution.groups)
        # A plain attribute: packed weights can be neither copied nor moved as others are.
        self.packed = torch.ops.mkldnn._reorder_convolution_weight(
            convolution.weight.detach(), *self.shape, size
        )

    def forward(self, images: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        """Return the convolution of the images, with another tensor added before the ReLU."""
        convolve = torch.ops.mkldnn._convolution_pointwise
        given = (self.packed, self.bias, *self.shape)
        result: torch.Tensor = (
            convolve(images, *given, self.after, [], "")
            if added is None
            else convolve.binary(images, added, *given, "add", 1.0, self.after, [], "")
        )
        return result


def _packed(network: nn.Module, images: torch.Tensor) -> nn.Module:
    graph_module = fuse(network)
    assert isinstance(graph_module, fx.GraphModule)
    # Where a network cannot be run so, torch prints the traceback before it raises.
    with redirect_stderr(io.StringIO()):
        ShapeProp(graph_module).propagate(images)
    modules = dict(graph_module.named_modules())
    for number, node in enumerate(list(graph_module.graph.nodes)):
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d) and _packs(module):
            _replace(graph_module, node, module, f"packed_{number}")
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module.to(memory_format=torch.channels_last)


def _packs(convolution: nn.Conv2d) -> bool:
    plain = convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    return plain and convolution.weight.dtype == torch.float32


def _replace(graph_module: fx.GraphModule, node: fx.Node, module: nn.Conv2d, name: str) -> None:
    """Put a packed convolution in the place of one, of the addition and the ReLU after it."""
    images = node.args[0]
    assert isinstance(images, fx.Node)
    added: Argument = None
    last, after = node, "none"
    following = _only_user(node)
    if following is not None and _is_addition_to(node, following):
        beyond = _only_user(following)
        if beyond is not None and _is_relu(graph_module, beyond):
            added, last, after = following.args[1], beyond, "relu"
    elif following is not None and _is_relu(graph_module, following):
        last, after = following, "relu"
    size = list(images.meta["tensor_meta"].shape)
    graph_module.add_module(name, PackedConvolution(module, size, after))
    with graph_module.graph.inserting_before(last):
        made = graph_module.graph.call_module(name, (images,) if added is None else (images, added))
    made.meta = dict(last.meta)
    last.replace_all_uses_with(made)
    for dead in dict.fromkeys((last, following, node)):
        if dead is not None and not dead.users:
            graph_module.graph.erase_node(dead)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_addition_to(node: fx.Node, other: fx.Node) -> bool:
    if other.target not in (operator.add, operator.iadd, torch.add) or other.kwargs:
        return False
    first, second = other.args
    if first is not node or not isinstance(second, fx.Node):
        return False
    shapes = [each.meta["tensor_meta"].shape for each in (node, second)]
    return bool(shapes[0] == shapes[1])


def _is_relu(graph_module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(graph_module.get_submodule(str(node.target)), nn.ReLU)
    return node.op == "call_function" and node.target in (functional.relu, torch.relu)
