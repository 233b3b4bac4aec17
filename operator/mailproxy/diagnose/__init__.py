"""What is said: findings, conditions, status and events."""
