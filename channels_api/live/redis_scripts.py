"""What the log does inside Redis: scripts, each of them atomic."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .log import Topic

# Seconds that the number of a topic's last change is kept after anybody has asked for it.
KEEP_TOP = 7 * 24 * 3600

# KEYS: the hash with the epoch and the last number, and the stream of changes, "<number>-0" each.
# ARGV[1]: the name of an epoch that begins now, for scripts have no randomness of their own.
#
# Part of the epoch is the run of Redis itself: killed, it comes back with what it had saved some
# time ago, and would otherwise give away numbers again that clients have already seen.
POSITION = f"""
local function position()
    if redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1]) == 1 then
        redis.call('DEL', KEYS[2])  -- where only the hash was evicted
    end
    redis.call('EXPIRE', KEYS[1], {KEEP_TOP})
    local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
    local epoch = redis.call('HGET', KEYS[1], 'epoch') .. '-' .. string.sub(run, 1, 12)
    return epoch, tonumber(redis.call('HGET', KEYS[1], 'seq') or 0)
end
"""

TOP = f"""{POSITION}
return {{position()}}
"""

# ARGV: how many numbers to give, how many changes to keep and for how many milliseconds; then the
# pk and the operation of each of the last changes.
APPEND = f"""{POSITION}
local epoch, top = position()
top = redis.call('HINCRBY', KEYS[1], 'seq', ARGV[2])
local seq = top - (#ARGV - 4) / 2
for i = 5, #ARGV, 2 do
    seq = seq + 1
    redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], string.format('%d-0', seq),
        'pk', ARGV[i], 'operation', ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {{epoch, top}}
"""

# ARGV: the epoch and the number after which to begin, as a client has sent them. The changes are
# one JSON text: redis-py takes 20 ms for a thousand of them as Redis' own nested arrays.
SINCE = f"""{POSITION}
local epoch, top = position()
local after, kept = tonumber(ARGV[3]), {{}}
if ARGV[2] == epoch and after < top then
    kept = redis.call('XRANGE', KEYS[2], string.format('%d-0', math.max(after, 0) + 1), '+')
end
return {{epoch, top, cjson.encode(kept)}}
"""


@dataclass(frozen=True)
class Call:
    """A script and what it is given, apart from the epoch that may begin."""

    script: str
    topic: Topic
    arguments: Collection[str | int] = ()

    @property
    def keys(self) -> tuple[str, str]:
        """Braces: in a cluster both are on one node."""
        name = f"channels_api:{{{self.topic.digest}}}"
        return f"{name}:top", f"{name}:changes"
