"""Subscriptions: changes of models go through a log to hubs, and from there to sockets.

Bottom to top: `log` holds what changed, `changes` writes it there on commit and rings, `bell`
carries the ring to other processes, `hub` hears it, `audience` reads the rows anew and hands them
to its subscribers.
"""
