"""Makes the files beside it: what PyTorch saves (here 2.11), for the tests of src/train/init. Run it in this folder."""

import copyreg
from collections import OrderedDict

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 1)
        self.layer1 = nn.Sequential(nn.BatchNorm2d(2))

    def forward(self, x):
        return self.layer1(self.conv1(x))


def numbers(net):
    """0, 1, 2 and so on, from tensor to tensor."""
    state, at = net.state_dict(), 0
    for tensor in state.values():
        tensor.copy_(torch.arange(at, at + tensor.numel()).reshape(tensor.shape))
        at += tensor.numel()
    return state


net = Net().eval()
state = numbers(net)

# What everybody saves: an OrderedDict with its metadata.
torch.save(state, "state.pth")

# Number formats, a transposed tensor, two tensors in one storage, a parameter, a scalar, an empty one.
whole = torch.arange(6.0)
torch.save(
    {
        "half": torch.tensor([0.5, -2.0]).half(),
        "brain": torch.tensor([0.5, -2.0]).bfloat16(),
        "double": torch.tensor([0.5, -2.0]).double(),
        "truth": torch.tensor([True, False]),
        "transposed": whole.reshape(2, 3).t(),
        "tail": whole[4:],
        "parameter": nn.Parameter(torch.tensor([[7.0]])),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
    },
    "kinds.pth",
)

# A checkpoint, with what training scripts put beside the params.
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [15, 30])
checkpoint = {
    "epoch": 3,
    "arch": "net",
    "best": torch.tensor(0.5),
    "args": {"lr": 0.1, "size": torch.Size([2, 3]), "dtype": torch.float32, "resume": None, "seed": -(1 << 70)},
    "model_state_dict": OrderedDict(("module." + name, tensor) for name, tensor in state.items()),
    "optimizer": optimizer.state_dict(),
    "scheduler": schedule.state_dict(),
}
torch.save(checkpoint, "checkpoint.pth")
torch.save({**checkpoint, "view": whole[4:]}, "legacy.pth", _use_new_zipfile_serialization=False)


class Parameter(nn.Parameter):
    """Pickles itself as parameters did in 2017: made empty, then filled."""

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (Parameter,), (self.data, None, OrderedDict(), True, False)


Parameter.__module__, Parameter.__qualname__ = "torch.nn.parameter", "Parameter"
torch.nn.parameter.Parameter, kept = Parameter, torch.nn.parameter.Parameter
old = OrderedDict((name, Parameter(tensor)) for name, tensor in state.items() if tensor.is_floating_point())
torch.save(old, "oldest.pth", _use_new_zipfile_serialization=False)
torch.nn.parameter.Parameter = kept

torch.jit.script(net).save("script.pt")
torch.jit.trace(net, torch.zeros(1, 1, 2, 2)).save("trace.pt")

torch.save(nn.Conv2d(1, 2, 1), "whole.pth")
