"""What drives reconciles: the queue of keys and the watches that feed it; knows nothing of mail."""
