"""The parts of scripts/bench forward: the load, the servers under it, and the bare limit."""
