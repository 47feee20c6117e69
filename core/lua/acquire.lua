-- Takes the lock, or says how long its holder may still keep it.
-- KEYS  lock, fencing counter, waiting processes[, marker]
-- ARGV  owner, TTL ms, proposed token, tokens wanted, record, waiting process or ''[, marker's id]
-- Returns the first token of the granted block (> 0), -1-left when refused,
-- 0 when the node has lost its data since we met it.
if KEYS[4] and redis.call('HGET', KEYS[4], 'id') ~= ARGV[7] then
  return 0
end

local held = redis.call('GET', KEYS[1])
if held then
  if string.sub(held, 1, #ARGV[1]) == ARGV[1] then
    -- Ours already: the reply was lost, or the lock is being topped up.
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return tonumber(string.match(held, '^[^:]*:(%d+)'))
  end
  local left = math.max(redis.call('PTTL', KEYS[1]), 0)
  if ARGV[6] ~= '' then
    local now = redis.call('TIME')
    redis.call('ZADD', KEYS[3], 'NX', now[1] * 1000000 + now[2], ARGV[6])
    redis.call('PEXPIRE', KEYS[3], left + 60000)
  end
  return -1 - left
end

-- The counter first, the lock last: a node that refuses a write half way
-- (out of memory, read-only) is left without a lock.
local token = tonumber(ARGV[3])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if last >= token then
  token = last + 1
end
redis.call('SET', KEYS[2], string.format('%.0f', token + ARGV[4] - 1))
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. string.format('%.0f', token) .. ':' .. ARGV[5], 'PX', ARGV[2])
if ARGV[6] ~= '' then
  redis.call('ZREM', KEYS[3], ARGV[6])
end
return token
