"""The edge: what is read of its pods, which entryPoint serves which port, and its routes.

Everything that depends on `spec.edge.type` is asked of an adapter (`adapter.py`), which the
registry finds. Nothing outside `plan/edge` knows a vendor.
"""
