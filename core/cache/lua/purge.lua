-- Purges an entry and moves its bucket's generation on. A generation is the
-- server's time in microseconds, or one more than the last, so that a counter
-- that was lost starts above every value it ever had.
--
-- KEYS  entry, purge generation of its bucket (one slot)
-- ARGV  1 channel  2 notice
local t = redis.call('TIME')
local gen = math.max(t[1] * 1000000 + t[2], tonumber(redis.call('GET', KEYS[2]) or 0) + 1)
redis.call('SET', KEYS[2], string.format('%.0f', gen))
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
