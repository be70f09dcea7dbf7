"""LeNet-5 in TensorFlow: a Keras model where the mode has one, else variables and tf.nn."""

import keras
import numpy as np
import tensorflow as tf
from stopwatch import main


def variable(*shape):
    bound = 1 / np.sqrt(np.prod(shape[:-1]))
    return tf.Variable(tf.random.uniform(shape, -bound, bound))


def fused_step():
    """No Keras: tf.nn and TensorFlow's own momentum kernel."""
    shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)]
    weights = [variable(*shape) for shape in shapes]
    moments = [tf.Variable(tf.zeros(shape)) for shape in shapes]

    def forward(x):
        k1, b1, k2, b2, w3, b3, w4, b4, w5, b5 = weights
        x = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, k1, 1, "VALID"), b1)), 2, 2, "VALID")
        x = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, k2, 1, "VALID"), b2)), 2, 2, "VALID")
        x = tf.reshape(x, (-1, 400))
        x = tf.nn.relu(tf.nn.bias_add(x @ w3, b3))
        x = tf.nn.relu(tf.nn.bias_add(x @ w4, b4))
        return tf.nn.bias_add(x @ w5, b5)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=forward(x)))
        gradients = tape.gradient(loss, weights)
        for w, v, g in zip(weights, moments, gradients, strict=True):
            tf.raw_ops.ResourceApplyMomentum(var=w.handle, accum=v.handle, lr=0.05, grad=g, momentum=0.9)
        return loss

    return step


def keras_parts():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ]
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    optimizer.build(model.trainable_variables)
    return model, optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def keras_step():
    """As the custom-loop guide has it."""
    model, optimizer, mean_loss = keras_parts()

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return step


def stepwise(step):
    def train(batches):
        for images, labels in batches:
            step(tf.constant(images.reshape(-1, 32, 32, 1)), tf.constant(labels))

    return train


def blockwise(step):
    @tf.function
    def loop(x, y):
        loss = 0.0
        for number in tf.range(len(x)):
            loss = step(x[number], y[number])
        return loss

    def train(batches):
        images, labels = (np.stack(part) for part in zip(*batches, strict=True))
        loop(tf.constant(images.reshape(*labels.shape, 32, 32, 1)), tf.constant(labels))

    return train


def fit():
    model, optimizer, mean_loss = keras_parts()
    model.compile(optimizer=optimizer, loss=mean_loss)

    def train(batches):
        images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        model.fit(images.reshape(-1, 32, 32, 1), labels, batch_size=len(batches[0][1]), shuffle=False, verbose=0)

    return train


def setup(mode, threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    train = {
        "graph": lambda: stepwise(tf.function(keras_step())),
        "eager": lambda: stepwise(keras_step()),
        "fused": lambda: stepwise(tf.function(fused_step())),
        "xla": lambda: stepwise(tf.function(keras_step(), jit_compile=True)),
        "epoch": lambda: blockwise(fused_step()),
        "fit": fit,
    }[mode]()
    return train, lambda: None


main(setup)
