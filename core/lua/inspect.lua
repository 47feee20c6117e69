-- KEYS  lock
-- Returns record and TTL ms, or nothing when free.
local held = redis.call('GET', KEYS[1])
if not held then
  return {}
end
return {held, redis.call('PTTL', KEYS[1])}
