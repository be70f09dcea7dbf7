"""LeNet-5 in Gluon: network and loss hybridized with static memory or not, a trainer without a key-value store."""

import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon import nn
from stopwatch import main


def setup(mode, threads):
    net = nn.HybridSequential()
    net.add(
        nn.Conv2D(6, 5, activation="relu"),
        nn.MaxPool2D(),
        nn.Conv2D(16, 5, activation="relu"),
        nn.MaxPool2D(),
        nn.Flatten(),
        nn.Dense(120, activation="relu"),
        nn.Dense(84, activation="relu"),
        nn.Dense(10),
    )
    net.initialize(mx.init.Xavier())
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    if mode == "hybrid":
        net.hybridize(static_alloc=True, static_shape=True)
        loss_of.hybridize(static_alloc=True, static_shape=True)
    net(mx.nd.zeros((1, 1, 32, 32)))
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.05, "momentum": 0.9}, kvstore=None)

    def train(batches):
        for images, labels in batches:
            x, y = mx.nd.array(images), mx.nd.array(labels, dtype="int32")
            with autograd.record():
                loss = loss_of(net(x), y)
            loss.backward()
            trainer.step(len(images))

    return train, mx.nd.waitall


main(setup)
