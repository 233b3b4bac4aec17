"""The `mailproxy` command; a module for each subcommand."""
