"""The media worker: forwards encrypted voice and video without decoding.

The way of a voice: the event loop waits in `PumpSelector.select`, and that in `Fanout.wait`, which takes a batch of
datagrams, finds each one's client and track by address and SSRC, unprotects it, counts it, hears how loud it is, writes
it for each listener, protects it with his keys, and sends what the batch has brought. `Port.act` sorts what is no
voice: a picture goes by `Transport.take_rtp` and `VideoProducer.take` to `Fanout.forward`.
"""
