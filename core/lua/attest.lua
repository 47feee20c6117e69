-- Writes down how long a client has seen a server run that has lost data: those who
-- meet it later need not wait for that again.
-- KEYS  marker
-- ARGV  its id, since when its data may be incomplete, ms since then or 'over'
-- Returns 1 when it is the marker, and the loss, that are meant.
local marker = redis.call('HMGET', KEYS[1], 'id', 'since', 'waited')
if marker[1] ~= ARGV[1] or marker[2] ~= ARGV[2] then
  return 0
end
if ARGV[3] == 'over' then
  redis.call('HSET', KEYS[1], 'since', '0')
  return 1
end
local loss, waited = string.match(marker[3] or '', '^(%d+):(%d+)$')
if loss ~= ARGV[2] or tonumber(waited) < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'waited', ARGV[2] .. ':' .. ARGV[3])
end
return 1
