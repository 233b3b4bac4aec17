"""From the ConfigMaps to the running mail server: mounts, workload, volume refresh, probes."""
