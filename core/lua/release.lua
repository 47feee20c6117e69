-- Deletes the lock if it is ours and wakes the process that has waited longest.
-- KEYS  lock, waiting processes
-- ARGV  owner, channel prefix, 'any' when subscribers cannot be counted, own process to queue again or ''
-- Returns 1 released, 2 released and nobody else was waiting, 0 already gone,
-- -1 another owner's.
local held = redis.call('GET', KEYS[1])
if held then
  if string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
    return -1
  end
  redis.call('DEL', KEYS[1])
end

local woken = false
local first = redis.call('ZPOPMIN', KEYS[2])[1]
while first and not woken do
  -- A process that is gone has no subscription: its place goes to the next.
  if first ~= ARGV[4] then
    woken = redis.call('PUBLISH', ARGV[2] .. first, KEYS[1]) > 0 or ARGV[3] == 'any'
  end
  if not woken then
    first = redis.call('ZPOPMIN', KEYS[2])[1]
  end
end

if woken and ARGV[4] ~= '' then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], 'NX', time[1] * 1000000 + time[2], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], 600000)
end
if not held then
  return 0
end
return woken and 1 or 2
