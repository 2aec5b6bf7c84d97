"""The floor's one thread: takes frames one after another, hands answers back in batches."""

import collections
import queue
import threading
import time
import traceback

from django.db import close_old_connections

# Answers that are handed back at once, however many frames still wait.
BATCH = 32


class FloorThread:
    def __init__(self):
        self.loop = None
        self.inbox = queue.SimpleQueue()
        self.outbox = collections.deque()
        self.lock = threading.Lock()
        self.woken = False
        self.checked = 0.0

    def start(self, loop):
        self.loop = loop
        threading.Thread(target=self.run, daemon=True).start()

    def put(self, function, argument, deliver):
        """Call `function` in the thread, and `deliver` in the loop with what it returns."""
        self.inbox.put((function, argument, deliver))

    def run(self):
        held = 0
        while True:
            function, argument, deliver = self.inbox.get()
            self.close_old()
            try:
                self.outbox.append((deliver, function(argument)))
            except Exception:
                # Nothing is answered, and the load generator reports that.
                traceback.print_exc()
            held += 1
            if held >= BATCH or self.inbox.empty():
                held = 0
                self.wake()

    def close_old(self):
        # Once a second, in place of twice for each frame.
        if time.monotonic() - self.checked > 1:
            close_old_connections()
            self.checked = time.monotonic()

    def hand_over(self, deliver, result):
        """Have something delivered at once."""
        self.outbox.append((deliver, result))
        self.wake()

    def wake(self):
        with self.lock:
            if self.woken:
                return
            self.woken = True
        self.loop.call_soon_threadsafe(self.drain)

    def drain(self):
        with self.lock:
            self.woken = False
        while self.outbox:
            deliver, result = self.outbox.popleft()
            deliver(result)
