"""The scripts of a `RedisStore`. Each runs inside the server, alone and as a whole.

They use the server's clock where the real time matters, because machines that run the application may disagree.

Owners. An owner's sorted set has the ids that may be the owner's. In a cluster it lies in another slot than the
records, so no script changes both. There may be too many ids in it and never too few, by these rules:

1. An id is *claimed*, put into the set, before a record is stored that has this owner.
2. A record is stored only if the claim is at most 30 seconds old.
3. A reader looks at each record. It takes an id out that is not the owner's, but only if the claim was 60 seconds old
   before it looked, and nobody has claimed it again since then. By rule 2, nobody was about to store that record.
4. A claim runs out. Until when it is good stands in the record's head, as `owner_until`, and a record that is to live
   longer is claimed again first. It is claimed for twice the time ahead, so that this happens rarely.

A claim's score is the second in which it runs out, plus the second in which it was made as a fraction. So who claims an
id takes those out that ran out a day ago, and the set of somebody who logs in every minute does not grow for ever.

Ends of sessions are by the application's clock, and what the server removes goes by its own. Nothing is lost if they
differ by up to a day, the `NET`: somebody may have set one to the local time.
"""

from __future__ import annotations

import hashlib


class Script:
    """A script, and the digest by which a server knows it."""

    def __init__(self, body: str, *, needs: str = "") -> None:
        self.text: str = needs + body
        self.digest: str = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# `number` writes numbers out, because Lua makes 1.7e+09 of large ones.
_NUMBERS = """
local SLACK, NET = 7200, 86400
local function number(value) return string.format('%.0f', value) end
local function server_time() return tonumber(redis.call('TIME')[1]) end
"""

# The first change of a script is one that takes memory. If there is none, the server refuses that one, but no other one
# behind it: a script that has changed something is not stopped half-way.

# A claim's second comes back every 12 days, so then, for a minute, an old claim is taken for a new one and stays.
# Later than in 2242, a sum would not be exact. A claim that runs out then does so in that year, and its record never.
_CLAIMS = (
    _NUMBERS
    + """
local STAMPS, LAST = 2 ^ 20, 2 ^ 33 - 1
local function claim(owner, id, expires_at)
    local now = server_time()
    local good_until = math.max(expires_at, now) + math.max(0, expires_at - now) + SLACK
    local before = redis.call('ZSCORE', owner, id)
    if before then good_until = math.max(good_until, math.floor(tonumber(before))) end
    local score = math.min(good_until, LAST) + now % STAMPS / STAMPS
    redis.call('ZADD', owner, string.format('%.17g', score), id)
    redis.call('ZREMRANGEBYSCORE', owner, '-inf', number(now - NET))
    if redis.call('TTL', owner) < good_until + NET - now then
        redis.call('EXPIREAT', owner, number(good_until + NET))
    end
    return good_until, now
end
"""
)

_RECORDS = """
local CLAIM_IS_GOOD = 30
local function head(key)
    local found = redis.call('GETRANGE', key, 0, 48)
    local mark = #found == 49 and string.byte(found, 33) or 0
    if mark >= 32 and mark <= 48 then return found end
end
local function is_owned(owner) return string.byte(owner) > 32 end
local function is_too_old(claimed_at) return math.abs(server_time() - tonumber(claimed_at)) > CLAIM_IS_GOOD end
local function store(version, expires_at, prune_at, owner_until, owner, payload)
    local times = struct.pack('>I8I8I8', expires_at, prune_at, owner_until)
    local ends = math.max(prune_at, server_time()) + NET
    redis.call('SET', KEYS[1], version .. times .. owner .. payload, 'EXAT', number(ends))
end
"""

#: KEYS an owner's set · ARGV an id, and until when its record is to live. Until when that is good, and the time.
CLAIM = Script("return {claim(KEYS[1], ARGV[1], tonumber(ARGV[2]))}", needs=_CLAIMS)

#: KEYS an owner's set. Its ids, each followed by its score, or by nothing if the claim is too new to be taken back.
CLAIMED = Script(
    """
local PATIENCE = 60
local now = server_time()
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for place = 2, #found, 2 do
    local made = tonumber(found[place]) % 1 * STAMPS
    if (now - made) % STAMPS <= PATIENCE then found[place] = '' end
end
return found
""",
    needs=_CLAIMS,
)

#: KEYS an owner's set · ARGV ids, each followed by the score that a reader saw. Takes out those that still have it.
UNCLAIM = Script("""
for place = 1, #ARGV, 2 do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[place])
    if score and tonumber(score) == tonumber(ARGV[place + 1]) then redis.call('ZREM', KEYS[1], ARGV[place]) end
end
return 1
""")

# Each of the next three returns 2, and has changed nothing, if its record has to be claimed first. `create` and
# `replace` make the claim themselves where they are given the owner's set as their third key.
#
# The index is written first. An id there without a record does no harm, and a record that is not there is not found.

#: KEYS record, index [owner's set] · ARGV id, version, expires_at, owner, payload, claimed until, claimed at
CREATE = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local id, version, expires_at, owner, payload, claimed, claimed_at = unpack(ARGV)
expires_at = tonumber(expires_at)
local owner_until = 0
if is_owned(owner) then
    if KEYS[3] then owner_until = claim(KEYS[3], id, expires_at)
    elseif claimed == '' or is_too_old(claimed_at) then return 2
    else owner_until = tonumber(claimed) end
end
redis.call('ZADD', KEYS[2], number(expires_at + SLACK), string.sub(id, 2))
store(version, expires_at, expires_at + SLACK, owner_until, owner, payload)
return 1
""",
    needs=_CLAIMS + _RECORDS,
)

# `prune_at` moves rarely, as in an SQLiteStore: it is set two hours ahead, and good as long as it is neither earlier
# than `expires_at` nor more than two hours later.

# Whoever logs out has a session replaced by less, and that has to work when the memory is full. So in that case the
# first change is one that takes none.

#: The same, and ARGV ends with the version that is to be replaced.
REPLACE = Script(
    """
local found = head(KEYS[1])
local id, version, expires_at, owner, payload, claimed, claimed_at, old_version = unpack(ARGV)
if not found or string.sub(found, 1, 8) ~= old_version then return 0 end
expires_at = tonumber(expires_at)
local _, prune_at, owner_until = struct.unpack('>I8I8I8', found, 9)
if not is_owned(owner) then owner_until = 0
elseif claimed ~= '' and not is_too_old(claimed_at) then owner_until = tonumber(claimed)
elseif string.sub(found, 33) ~= owner or owner_until < expires_at then
    if not KEYS[3] then return 2 end
    owner_until = claim(KEYS[3], id, expires_at)
end
if #payload + 49 <= redis.call('STRLEN', KEYS[1]) then
    redis.call('EXPIREAT', KEYS[1], number(math.max(prune_at, server_time()) + NET))
end
if prune_at < expires_at or prune_at > expires_at + SLACK then
    prune_at = expires_at + SLACK
    redis.call('ZADD', KEYS[2], number(prune_at), string.sub(id, 2))
end
store(version, expires_at, prune_at, owner_until, owner, payload)
return 1
""",
    needs=_CLAIMS + _RECORDS,
)

#: KEYS record, index · ARGV id, version, expires_at, owner, claimed until, claimed at. In place of 2, the owner.
TOUCH = Script(
    """
local found = head(KEYS[1])
local id, version, new_end, owner, claimed, claimed_at = unpack(ARGV)
if not found or string.sub(found, 1, 8) ~= version then return 1 end
new_end = tonumber(new_end)
local expires_at, prune_at, owner_until = struct.unpack('>I8I8I8', found, 9)
if expires_at >= new_end then return 1 end
local has = string.sub(found, 33)
if is_owned(has) and owner_until < new_end then
    if has ~= owner or is_too_old(claimed_at) then return string.sub(has, 2, string.byte(has) - 31) end
    owner_until = tonumber(claimed)
end
if prune_at < new_end then
    prune_at = new_end + SLACK
    redis.call('ZADD', KEYS[2], number(prune_at), string.sub(id, 2))
    redis.call('EXPIREAT', KEYS[1], number(math.max(prune_at, server_time()) + NET))
end
redis.call('SETRANGE', KEYS[1], 8, struct.pack('>I8I8I8', new_end, prune_at, owner_until))
return 1
""",
    needs=_NUMBERS + _RECORDS,
)

#: KEYS record, index · ARGV id
DELETE = Script("""
local removed = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], string.sub(ARGV[1], 2))
return removed
""")

# It looks at each record, because an index may have been restored from another day than the records, and it takes ids
# out whose record the server has removed. What is of another type was never ours, and stays.

#: KEYS index, records · ARGV now, and the rest of each record's id. How many records it removed.
PRUNE = Script(
    """
local removed, now = 0, tonumber(ARGV[1])
for place = 2, #KEYS do
    local is_string = redis.call('TYPE', KEYS[place]).ok == 'string'
    local found = is_string and head(KEYS[place])
    local expires_at, prune_at = 0, 0
    if found then expires_at, prune_at = struct.unpack('>I8I8', found, 9) end
    if math.max(expires_at, prune_at) > now then
        redis.call('ZADD', KEYS[1], number(prune_at), ARGV[place])
    else
        if is_string then removed = removed + redis.call('DEL', KEYS[place]) end
        redis.call('ZREM', KEYS[1], ARGV[place])
    end
end
return removed
""",
    needs=_NUMBERS + _RECORDS,
)

# Each call is one that changes nothing where its key is missing. Together they are all that the scripts and the store
# do, so a user who may not do one of them is found when the application starts, and so is a replica.

#: KEYS a key that nobody has, and that a user of this store may use.
REHEARSAL = Script("""
local key = KEYS[1]
redis.call('GET', key) redis.call('MGET', key) redis.call('GETRANGE', key, 0, 0) redis.call('EXISTS', key)
redis.call('STRLEN', key)
redis.call('TYPE', key) redis.call('TTL', key) redis.call('TIME') redis.call('ZSCORE', key, 'x')
redis.call('ZCARD', key) redis.call('ZCOUNT', key, 0, 0) redis.call('ZRANGE', key, 0, 0)
redis.call('ZRANGEBYSCORE', key, 0, 0) redis.call('ZSCAN', key, 0)
redis.call('DEL', key) redis.call('EXPIREAT', key, 1)
redis.call('SET', key, 'x', 'XX') redis.call('SETRANGE', key, 0, '')
redis.call('ZADD', key, 'XX', 0, 'x') redis.call('ZREM', key, 'x') redis.call('ZREMRANGEBYSCORE', key, 0, 0)
return 1
""")

#: What a user has to be allowed, as the server's ACL says it.
ACL = (
    "~sw* +eval +evalsha +get +mget +getrange +strlen +exists +type +ttl +time +zscore +zcard +zcount +zrange "
    "+zrangebyscore +zscan +del +expireat +set +setrange +zadd +zrem +zremrangebyscore +info"
)
CLUSTER_ACL = f"{ACL} +cluster|slots +asking"
