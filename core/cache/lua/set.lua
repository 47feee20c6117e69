-- Stores an entry unless its key was purged, or filled by a later lock holder,
-- since the look that its mark is from, or the server comes to it too late: one
-- that was frozen finds what was given up long ago.
--
-- KEYS  entry, purge generation of its bucket (one slot)
-- ARGV  1 generation then ('' none, '*' unchecked)  2 fence then  3 frame
--       4 lifetime in ms  5 fence of the frame  6 channel  7 notice or ''
--       8 what the server's clock shows when this is sent, at the earliest
--       9 and when nobody waits for it any more, both in microseconds, or ''
-- Returns 1 stored, 0 not because of a purge or a fill, -1 too late; the server's
-- time in microseconds.
-- Fences are 16 hexadecimal digits, so they compare as strings: a Lua number
-- holds 53 bits only.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local left = tonumber(ARGV[4])
if ARGV[9] ~= '' then
  -- On its way the entry has aged.
  left = left - math.floor(math.max(now - tonumber(ARGV[8]), 0) / 1000)
  if now > tonumber(ARGV[9]) or left < 1 then
    return {-1, now}
  end
end
if ARGV[1] ~= '*' then
  if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then
    return {0, now}
  end
  local head = redis.pcall('GETRANGE', KEYS[1], 0, 18) -- an error if it is no string
  local held = type(head) == 'string' and string.match(head, '^dr.(%x+)$')
  if held and #held == 16 and held ~= ARGV[2] and held > ARGV[5] then
    return {0, now}
  end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', string.format('%.0f', left))
if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return {1, now}
