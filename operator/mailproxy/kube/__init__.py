"""The only place that talks to the API server; knows nothing of mail."""
