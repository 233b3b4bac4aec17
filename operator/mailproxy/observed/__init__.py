"""What is: immutable projections of cluster objects; no decision."""
