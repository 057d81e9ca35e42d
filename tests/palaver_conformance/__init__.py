"""`palaver conformance`: does a server, whoever wrote it, keep the contract? One case per event, rule and refusal.

Cases look at raw JSON, over real sockets, as people whom nobody on the server knows: a server that others use is not
disturbed.
"""
