-- Stores an entry unless its key was purged, or filled by a later lock holder,
-- since the look that its mark is from.
--
-- KEYS  entry, purge generation of its bucket (one slot)
-- ARGV  1 generation then ('' none, '*' unchecked)  2 fence then  3 frame
--       4 lifetime in ms  5 fence of the frame  6 channel  7 notice or ''
-- Fences are 16 hexadecimal digits, so they compare as strings: a Lua number
-- holds 53 bits only.
if ARGV[1] ~= '*' then
  if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then
    return 0
  end
  local head = redis.pcall('GETRANGE', KEYS[1], 0, 18) -- an error if it is no string
  local held = type(head) == 'string' and string.match(head, '^dr.(%x+)$')
  if held and #held == 16 and held ~= ARGV[2] and held > ARGV[5] then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return 1
