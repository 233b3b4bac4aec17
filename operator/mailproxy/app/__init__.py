"""The running operator: command line, kopf as the shell, probes."""
