"""How fast the project is beside hand-written NumPy and other libraries: `python -m benchmarks`."""
