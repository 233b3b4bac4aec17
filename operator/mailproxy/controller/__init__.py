"""The loop: caches, which object concerns whom, reconcile, writes."""
