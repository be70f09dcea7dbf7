"""Is it the same computation? A backend's numbers against a float64 reference, with tolerances that are measured.

`posing.py` makes the problem, `rounding.py` measures what rounding may do, `proving.py` launches and compares,
`twins.py` holds bfloat16 to float32, `bisection.py` says where a difference begins, `register.py` keeps who has passed.
Never imports a command. Its formulas come from `spec` and `backends/numpy`, so it must not borrow a framework's.
Start with `problem.py`.
"""
