-- Tells everything about a key to somebody who is about to fetch it. Where its
-- bucket has no generation yet, it gets one: one that was made by a purge and lost
-- since could otherwise not be told from none.
--
-- KEYS  entry, purge generation of its bucket (one slot), tag epoch where that is
--       on the same server
-- ARGV  1 '' to leave out the entry
-- Returns the server's time in microseconds, the entry's time to live, the
-- generation, the epoch or '', the entry or ''
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local gen = redis.call('GET', KEYS[2])
if not gen then
  gen = string.format('%.0f', now)
  redis.call('SET', KEYS[2], gen)
end
local epoch = KEYS[3] and redis.call('GET', KEYS[3]) or ''
local entry = ARGV[1] ~= '' and redis.pcall('GET', KEYS[1]) -- an error if it is no string
return {now, redis.call('PTTL', KEYS[1]), gen, epoch, type(entry) == 'string' and entry or ''}
