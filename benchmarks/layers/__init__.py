"""Where the time of a step is, layer by layer: `python -m benchmarks.layers`.

networks: the parts of LeNet-5 as networks of their own, and what the differences of their times mean
times: one process that times them all in one framework
figure: the bars of docs/limit.md
__main__: all frameworks, one process after the other; prints the tables
"""
