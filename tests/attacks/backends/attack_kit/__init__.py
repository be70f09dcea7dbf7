"""What the attacking backends share: mistakes and cheats, each written once, around the backend of any framework.

Workers see the folders `harness` and `backends` alone, so this lies in an outside folder of backends and is imported as
`backends.attack_kit`; it has no `backend.py`, so it is no backend. It imports NumPy and `harness.spec`, no framework.
`wrapper.py` has what is around the right backend, `hooks.py` what reaches into it; the mistakes are in `batches.py`,
`state.py`, `reports.py`, `formulas.py` and `numbers.py`; `mistakes.py` has all of them, `cheats.py` the cheats.
"""
