"""The rig of `scripts/bench sound`: calls of real programs on virtual devices, over a network that is made bad."""
