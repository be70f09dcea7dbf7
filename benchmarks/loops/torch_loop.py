"""LeNet-5 as a PyTorch user would write it for speed: functional forward, fused SGD, no loader; captured on a GPU."""

import os

import torch
import torch.nn.functional as F
from stopwatch import main
from torch import nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


DEVICE = torch.device("cuda" if os.environ.get("LENET_BENCH_LOOP_DEVICE") == "gpu" else "cpu")


def capture(step, x, y):
    """PyTorch's notes on CUDA graphs: some steps on a side stream, then one that is recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(x, y)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(x, y)
    return graph


def setup(mode, threads):
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    layout = torch.channels_last if mode == "channels-last" else torch.contiguous_format
    model = LeNet().to(DEVICE, memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)

    def mean_loss(x, y):
        return F.cross_entropy(model(x), y)

    if mode == "compiled":
        mean_loss = torch.compile(mean_loss, dynamic=False)

    def step(x, y):
        optimizer.zero_grad()
        loss = mean_loss(x, y)
        loss.backward()
        optimizer.step()

    def train(batches):
        for images, labels in batches:
            x = torch.from_numpy(images).to(DEVICE, memory_format=layout)
            step(x, torch.from_numpy(labels).to(DEVICE, torch.int64))

    captured = []

    def replay(batches):
        if not captured:
            images, labels = batches[0]
            x, y = torch.from_numpy(images).to(DEVICE), torch.from_numpy(labels).to(DEVICE, torch.int64)
            captured[:] = x, y, capture(step, x, y)
        x, y, graph = captured
        for images, labels in batches:
            x.copy_(torch.from_numpy(images))
            y.copy_(torch.from_numpy(labels))
            graph.replay()

    synchronize = torch.cuda.synchronize if DEVICE.type == "cuda" else lambda: None
    return replay if mode == "cuda-graph" else train, synchronize


main(setup)
