-- Does what release.lua does, for many locks.
-- KEYS  locks, and then the waiting processes of each
-- ARGV  owner of each, and what they share: channel prefix, 'any' when subscribers
--       cannot be counted, own process to queue again or ''
-- Returns 2 when all were released and nobody else was waiting, otherwise for each
-- what release.lua returns, or its error.
local count = #ARGV - 3

-- As a rule three commands do for all. If one of them fails, nothing has changed.
local function releaseAll()
  local held = redis.call('MGET', unpack(KEYS, 1, count))
  for i = 1, count do
    if not held[i] or string.sub(held[i], 1, #ARGV[i]) ~= ARGV[i] then
      return false
    end
  end
  if redis.call('EXISTS', unpack(KEYS, count + 1)) > 0 then
    return false
  end
  redis.call('DEL', unpack(KEYS, 1, count))
  return true
end

local _, done = pcall(releaseAll)
if done == true then
  return 2
end

local prefix, uncountable, requeue = ARGV[count + 1], ARGV[count + 2] == 'any', ARGV[count + 3]

local function release(lock, queue, owner)
  local held = redis.call('GET', lock)
  if held then
    if string.sub(held, 1, #owner) ~= owner then
      return -1
    end
    redis.call('DEL', lock)
  end

  local woken = false
  local first = redis.call('ZPOPMIN', queue)[1]
  while first and not woken do
    if first ~= requeue then
      woken = redis.call('PUBLISH', prefix .. first, lock) > 0 or uncountable
    end
    if not woken then
      first = redis.call('ZPOPMIN', queue)[1]
    end
  end

  if woken and requeue ~= '' then
    local time = redis.call('TIME')
    redis.call('ZADD', queue, 'NX', time[1] * 1000000 + time[2], requeue)
    redis.call('PEXPIRE', queue, 600000)
  end
  if not held then
    return 0
  end
  return woken and 1 or 2
end

local answer = {}
for i = 1, count do
  local ran, said = pcall(release, KEYS[i], KEYS[count + i], ARGV[i])
  if not ran and type(said) == 'string' then
    -- Before Redis 7 the place in the script stands in front of the error's code.
    said = {err = string.match(said, '^%u+ ') and said or 'ERR ' .. said}
  end
  answer[i] = said
end
return answer
