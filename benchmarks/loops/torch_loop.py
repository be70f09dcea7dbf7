"""LeNet-5 as a PyTorch user would write it for speed: functional forward, fused SGD, no loader."""

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


def setup(mode, threads):
    torch.set_num_threads(threads)
    layout = torch.channels_last if mode == "channels-last" else torch.contiguous_format
    model = LeNet().to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)

    def mean_loss(x, y):
        return F.cross_entropy(model(x), y)

    if mode == "compiled":
        mean_loss = torch.compile(mean_loss, dynamic=False)

    def train(batches):
        for images, labels in batches:
            x, y = torch.from_numpy(images).to(memory_format=layout), torch.from_numpy(labels).long()
            optimizer.zero_grad()
            loss = mean_loss(x, y)
            loss.backward()
            optimizer.step()

    return train, lambda: None


main(setup)
