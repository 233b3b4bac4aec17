"""A user's own files: what they may say, and how they are merged with ours."""
