"""What is said: a module a condition, the status made of them, and events about its changes."""
