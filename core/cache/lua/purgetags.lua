-- Purges tags: the epoch moves on, and each tag's bucket remembers it. An entry
-- is valid while none of its buckets is past the epoch it was begun in. Without
-- tags, only sees to it that there is an epoch. Returns the epoch.
--
-- The field "base" is the epoch since which the buckets are complete: if the
-- hash was evicted, every tagged entry from before is invalid.
--
-- KEYS  buckets (hash), epoch (one slot)
-- ARGV  1 channel  2 notice  3… buckets
local epoch = redis.call('GET', KEYS[2])
if epoch and #ARGV == 2 then
  return epoch
end
local t = redis.call('TIME')
epoch = string.format('%.0f', math.max(t[1] * 1000000 + t[2], tonumber(epoch or 0) + 1))
redis.call('SET', KEYS[2], epoch)
redis.call('HSETNX', KEYS[1], 'base', epoch)
for i = 3, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[i], epoch)
end
if #ARGV > 2 then
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return epoch
