"""NumPy with one mistake a mode: those that published comparisons made, and those that people who port code make."""

DISTRIBUTIONS = ("numpy",)
MODES = {
    "activation-after-pool": "the first activation stands behind its pool instead of before it",
    "relu-on-logits": "a ReLU follows the last layer",
    "channel-short": "the second convolution has a channel fewer than the table says",
    "double-softmax": "the loss takes the softmax of a softmax",
    "rate-in-velocity": "the learning rate is inside the velocity, which is not scaled when the rate changes",
    "epsilon-inside": "Adam's epsilon is inside the root",
    "biases-not-decayed": "weight decay leaves out the biases",
    "small-batch-dropped": "batches smaller than the others train nothing",
    "shifted-batch": "images are shifted against their labels by one",
    "keeps-velocity": "loading weights does not forget the velocity",
    "keeps-weights": "only the first weights that are loaded are taken",
    "labels-permuted": "labels 3 and 5 are exchanged",
    "float16-inside": "the first dense layer puts out float16",
    "tf32-inside": "the second convolution multiplies numbers of 10 bits",
    "evaluates-training": "inference looks at the images that were handed over first",
    "nesterov-missing": "Nesterov's momentum is plain momentum",
    "dampened": "from the second step on, a gradient is added to the velocity with a factor of 0.9",
    "gradients-kept": "gradients are added to those of the steps before",
    "second-moment": "Adam forgets the squares of gradients ten times as fast",
    "float32-inside": "the first dense layer puts out float32",
    "gradient-off": "the gradient of the first convolution is too large by a thousandth",
    "losses-overwritten": "the losses of a block are one buffer, which every step overwrites",
}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
