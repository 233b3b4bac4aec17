"""The edge: what is read of its pods, which entryPoint serves which port, and its routes."""
