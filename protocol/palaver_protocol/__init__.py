"""The public contract of Palaver: events, models, wire formats. Pure: no I/O, no event loop, no clock."""
