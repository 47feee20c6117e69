-- Tells the purge state of a key before a fetch begins. Where its bucket has no
-- generation yet, it gets one: one that was made by a purge and lost since could
-- otherwise not be told from none.
--
-- KEYS  entry, purge generation of its bucket (one slot), tag epoch where that is
--       on the same server
-- Returns the entry's time to live, the generation, the epoch or ''
local gen = redis.call('GET', KEYS[2])
if not gen then
  local t = redis.call('TIME')
  gen = string.format('%.0f', t[1] * 1000000 + t[2])
  redis.call('SET', KEYS[2], gen)
end
local epoch = KEYS[3] and redis.call('GET', KEYS[3]) or ''
return {redis.call('PTTL', KEYS[1]), gen, epoch}
