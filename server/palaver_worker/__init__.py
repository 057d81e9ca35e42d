"""The media worker: an asyncio subprocess that forwards encrypted voice and video without decoding.

A packet's way through: `Port.drain` takes it with its batch, `Port.take` finds the transport whose validated address
it came from, `Transport.take_rtp` finds its producer and unprotects it, `Producer.take` counts it and gives it the
router's numbers, `Consumer.forward` writes it for one listener, `Transport.send_rtp` protects it with that listener's
keys, and `Port.flush` sends what the batch has brought. How loud it was, `Voice.hear` reads from its header.
"""
