"""What the server decides in one step, of who holds a task and who may begin it: the scripts of `holding.py`."""

import hashlib
from typing import Final

_COMMON: Final = """
local function status_of(key)
    return string.match(redis.call('GET', key) or '', '^{"status": "(%u+)"') or ''
end
local function has_ended(key)
    local status = status_of(key)
    return status == 'SUCCESS' or status == 'FAILURE' or status == 'REVOKED'
end
local function is_over(record, state)
    return has_ended(state) or redis.call('HEXISTS', record, 'no-result') == 1
end
local function is_any_there(names)
    for name in string.gmatch(names or '', '%S+') do
        if redis.call('EXISTS', name) == 1 then return true end
    end
    return false
end
"""

BEGIN: Final = (
    _COMMON
    + """
local record, state, start = KEYS[1], KEYS[2], KEYS[3]
local tag, call, expires, forced = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local known = redis.call('HMGET', record, 'revoked', 'tag', 'begun', 'call', 'attempt', 'holder', 'TASK_POST_RUN')
local revoked, sent, begun, latest_call, attempts, holders, has_body_ended = unpack(known, 1, 7)
if latest_call == call then return {tonumber(attempts), ''} end
if forced ~= '1' then
    if revoked then return {0, 'revoked'} end
    if begun == tag then
        if has_ended(state) then return {0, 'ended'} end
        if not has_body_ended and is_any_there(holders) then
            -- Whoever asks acknowledges the message, and so takes the entry of the body that runs.
            redis.call('HDEL', record, 'late')
            return {0, 'held'}
        end
    elseif sent and sent ~= tag then
        return {0, 'stale'}
    end
end
local attempt = tonumber(attempts or 0) + 1
redis.call('HSET', record, 'begun', tag, 'call', call, 'attempt', attempt, unpack(ARGV, 6))
if has_body_ended then redis.call('HDEL', record, 'TASK_POST_RUN', 'no-result') end
if expires > 0 then
    redis.call('SET', start, ARGV[5], 'NX', 'EX', expires)
    redis.call('EXPIRE', record, expires)
else
    redis.call('SET', start, ARGV[5], 'NX')
end
return {attempt, ''}
"""
)

BEGIN_DIGEST: Final = hashlib.sha1(BEGIN.encode(), usedforsecurity=False).hexdigest()

_LOSS: Final = (
    _COMMON
    + """
local function is_queued(list, entry, is_thorough)
    if redis.call('LLEN', list) == 0 then return false end
    local payload = is_thorough and entry and string.match(entry, '^%[(.*), "[^"]*", "[^"]*"%]$')
    return not payload or redis.pcall('LPOS', list, payload, 'RANK', -1) ~= false
end
local function loss_of(record, state, unacked, is_thorough)
    local known = redis.call('HMGET', record, 'tag', 'begun', 'holder', 'list', 'late', 'TASK_POST_RUN')
    local tag, begun, holders, list, is_acked_late, has_body_ended = unpack(known, 1, 6)
    if not tag then
        local has_trace = begun or redis.call('HEXISTS', record, 'sent') + redis.call('EXISTS', state) > 0
        return has_trace and '' or 'forgotten', tag
    end
    local entry = redis.call('HGET', unacked, tag)
    local fetched_by = entry and string.match(entry, '"firexkit_holder": "([^"]*)"')
    if is_over(record, state) then return fetched_by and 'left' or '', tag end
    if tag == 'given-up' then return 'gone', tag end
    if begun == tag and not has_body_ended then
        if not is_any_there(holders) then return 'body', tag end
        -- Its worker has acknowledged it, so its body has ended, and could store nothing.
        if is_acked_late and not entry then return 'dropped', tag end
        return '', tag
    end
    if fetched_by then
        if redis.call('EXISTS', fetched_by) == 1 then return '', tag end
        return 'reserved', tag
    end
    if is_queued(list, entry, is_thorough) then return '', tag end
    if entry then return 'unfetched', tag end
    -- A message that was acknowledged without a state: its body had ended (`Reject`, say), or it was lost before.
    if begun == tag then return 'dropped', tag end
    return 'gone', tag
end
"""
)

IS_OVER: Final = _COMMON + "return is_over(KEYS[1], KEYS[2]) and 1 or 0"

LOOK: Final = (
    _LOSS
    + """
local found = {}
for at = 1, #KEYS - 1, 2 do
    local loss = loss_of(KEYS[at], KEYS[at + 1], KEYS[#KEYS], ARGV[1] == '1')
    found[#found + 1] = loss
end
return found
"""
)

SEND_AGAIN: Final = (
    _LOSS
    + """
local record, state, list, index, unacked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local old, new, payload, entry, is_sure, counts = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local loss, tag = loss_of(record, state, unacked, true)
if tag ~= old or is_over(record, state) or (loss == '' and is_sure ~= '1') then return 0 end
if counts == '1' then redis.call('HINCRBY', record, 'lost', 1) end
redis.call('HSET', record, 'tag', new, 'begun', '')
redis.call('HDEL', unacked, old)
redis.call('ZREM', index, old)
redis.call('HSET', unacked, new, entry)
redis.call('RPUSH', list, payload)
return 1
"""
)

GIVE_UP: Final = (
    _LOSS
    + """
local record, state, index, unacked = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local loss, tag = loss_of(record, state, unacked)
if tag ~= ARGV[1] or (loss == '' and (ARGV[2] ~= '1' or is_over(record, state))) then return 0 end
redis.call('HDEL', unacked, tag)
redis.call('ZREM', index, tag)
if loss == 'left' then return 0 end
redis.call('HSET', record, 'begun', '', 'tag', 'given-up')
return 1
"""
)

SUSPECTS: Final = (
    _COMMON
    + """
local unacked, index, cursor, count = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local states, some, offset = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local page = redis.call('HSCAN', unacked, cursor, 'COUNT', count)
local suspects, queued, looked_for = {}, {}, {}
for at = 2, #page[2], 2 do
    local tag, entry = page[2][at - 1], page[2][at]
    local holder = string.match(entry, '"firexkit_holder": "([^"]*)"')
    local id = string.match(entry, '"id": "([^"]+)"')
    if id and (not holder or redis.call('EXISTS', holder) == 0 or has_ended(states .. id)) then
        local latest, list, begun = unpack(redis.call('HMGET', id, 'tag', 'list', 'begun'), 1, 3)
        if latest and latest ~= tag then
            redis.call('HDEL', unacked, tag)
            redis.call('ZREM', index, tag)
        elseif not holder and list and begun ~= tag and redis.call('LLEN', list) > 0 then
            queued[#queued + 1] = id
        else
            suspects[#suspects + 1] = id
        end
    end
end
local stride = math.max(1, math.ceil(#queued / some))
for at = 1 + offset % stride, #queued, stride do looked_for[#looked_for + 1] = queued[at] end
return {page[1], suspects, looked_for}
"""
)
PATROL: Final = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
