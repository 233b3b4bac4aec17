"""Decisions without I/O: from a MailProxy and the observed world to objects and status."""
