"""Where images come from: MNIST and its kin from a folder, the cache or a mirror, checked by their digests.

Bytes come in here, uint8 arrays go out: one data set, whole, in a `Dataset`.
Never imports the rooms below it; only `spec` stands above.
Start with `sources.py` (where is looked, in which order); `idx.py` and `cifar.py` read the formats.
"""
