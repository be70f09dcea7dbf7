"""Where the time of a step is, layer by layer: `python -m benchmarks.layers`.

networks: the parts of LeNet-5 as networks of their own, and what the differences of their times mean
times: one process that times them all in one framework
__main__: all frameworks in turn, a table and a figure
"""
