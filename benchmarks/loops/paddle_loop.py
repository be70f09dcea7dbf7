"""LeNet-5 in Paddle, in the dynamic graph, with biases apart or not, or converted to a static one."""

import paddle
import paddle.nn.functional as F
from paddle import nn
from stopwatch import main


class BiasApart(nn.Conv2D):
    def forward(self, x):
        return F.conv2d(x, self.weight) + self.bias.reshape([-1, 1, 1])


class LeNet(nn.Layer):
    def __init__(self, conv):
        super().__init__()
        self.conv1 = conv(1, 6, 5)
        self.conv2 = conv(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = paddle.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def setup(mode, threads):
    model = LeNet(BiasApart if mode == "apart" else nn.Conv2D)
    optimizer = paddle.optimizer.Momentum(learning_rate=0.05, momentum=0.9, parameters=model.parameters())

    def mean_loss(x, y):
        return F.cross_entropy(model(x), y)

    if mode == "static":
        mean_loss = paddle.jit.to_static(mean_loss, full_graph=True, backend=None)

    def train(batches):
        for images, labels in batches:
            loss = mean_loss(paddle.to_tensor(images), paddle.to_tensor(labels))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()

    return train, lambda: None


main(setup)
