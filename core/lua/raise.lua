-- Raises a fencing counter that was behind, while the lock is still ours: after
-- that another owner may already have been given a token from it.
-- KEYS  lock, fencing counter
-- ARGV  owner, first token, last token, marker's id or 't'
-- Returns 1 when the counter is at the last token or beyond and the lock ours.
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
redis.call('ZADD', KEYS[2], 'GT', ARGV[3], ARGV[4])
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
  local rest = string.match(held, '^[^:]*:%d+:(.*)$')
  redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2] .. ':' .. rest, 'PX', left)
end
return 1
