-- Reads the node's marker, and writes what is new: a marker on a node that has
-- none, the new start of a server that was restarted, a longer TTL.
-- KEYS  marker
-- ARGV  server's run id or '', ms since its start or -1, id for a new marker or '',
--       'new' when the whole deployment is, longest TTL ms, size of a block of tokens
-- Returns id ('' when there is none and none was to be written), since when its
-- data may be incomplete (server's ms; 0: it is complete), server's time ms, longest TTL ms,
-- ms since it was founded with the whole deployment (-1: it was not, or long ago), ms
-- for which clients have seen it run since its data became incomplete.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = now
if tonumber(ARGV[2]) >= 0 then
  since = now - ARGV[2]
end

local marker = redis.call('HMGET', KEYS[1], 'id', 'run', 'since', 'ttl', 'born', 'waited')
local id = marker[1]
if not id then
  if ARGV[3] == '' then
    return {'', 0, now, 0, -1, 0}
  end
  id = ARGV[3]
  if ARGV[4] == 'new' then
    since = 0
    marker[5] = now
    redis.call('HSET', KEYS[1], 'born', string.format('%.0f', now))
  end
  -- The counters begin at the server's clock: beyond what was forgotten.
  local base = string.format('%.0f', (now - now % ARGV[6]) * 1000 - 1)
  redis.call('HSET', KEYS[1], 'id', id, 'run', ARGV[1], 'since', string.format('%.0f', since), 'ttl', '0', 'base', base)
elseif ARGV[1] ~= '' and marker[2] ~= ARGV[1] then
  -- Restarted with data, but perhaps not with the newest: a snapshot or an
  -- append-only file without fsync=always may lack the last locks.
  redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', string.format('%.0f', since))
else
  since = tonumber(marker[3])
end

local longest = tonumber(marker[4] or '0')
if tonumber(ARGV[5]) > longest then
  longest = tonumber(ARGV[5])
  redis.call('HSET', KEYS[1], 'ttl', ARGV[5])
end
local loss, waited = string.match(marker[6] or '', '^(%d+):(%d+)$')
if tonumber(loss) ~= since then
  waited = 0
end
return {id, since, now, longest, marker[5] and math.max(now - marker[5], 0) or -1, tonumber(waited)}
