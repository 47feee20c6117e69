-- Takes the lock, or says how long its holder may still keep it.
-- KEYS  lock, fencing counter, waiting processes[, marker]
-- ARGV  owner, TTL ms, first token of the proposed block, last one, record,
--       waiting process or '', marker's id or 't'
-- Returns the first token of the granted block (> 0), -1-left when refused,
-- 0 when the node has lost its data since we met it.
local held = redis.call('GET', KEYS[1])
local ours = held and string.sub(held, 1, #ARGV[1]) == ARGV[1]

if held and not ours then
  -- A lock is there until its last millisecond is over; 0 is one without an end.
  local left = redis.call('PTTL', KEYS[1])
  left = left == 0 and 1 or math.max(left, 0)
  if ARGV[6] ~= '' then
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[3], 'NX', time[1] * 1000000 + time[2], ARGV[6])
    redis.call('PEXPIRE', KEYS[3], left + 60000)
  end
  return -1 - left
end

-- A counter begins where its marker says, and never expires. One that is missing
-- was not needed yet; or it was lost, and then the marker is not the one we met.
local last = redis.call('ZSCORE', KEYS[2], ARGV[7])
if not last and KEYS[4] then
  local marker = redis.call('HMGET', KEYS[4], 'id', 'base')
  if marker[1] ~= ARGV[7] then
    return 0
  end
  last = marker[2]
end

local first, top = ARGV[3], ARGV[4]
-- A counter at our block's end need not be our doing: another client may have
-- proposed the same block, been granted it and have released it since.
if last and tonumber(last) >= tonumber(first) then
  first = string.format('%.0f', last + 1)
  top = string.format('%.0f', last + 1 + top - ARGV[3])
end
-- The counter first, the lock last: a node that refuses a write half way
-- (out of memory, read-only) is left without a lock.
redis.call('ZADD', KEYS[2], top, ARGV[7])
-- Ours is never made shorter: a renewal since may have been confirmed here.
local ttl = tonumber(ARGV[2])
if ours then
  ttl = math.max(ttl, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. first .. ':' .. ARGV[5], 'PX', string.format('%.0f', ttl))
if ARGV[6] ~= '' then
  redis.call('ZREM', KEYS[3], ARGV[6])
end
return tonumber(first)
