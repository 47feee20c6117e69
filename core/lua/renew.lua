-- Sets the TTL of many locks, each only while it is its owner's.
-- KEYS  locks
-- ARGV  owner and TTL ms of each
-- Returns per lock 1 renewed, 0 gone, -1 another owner's.
local answer = {}
for i, key in ipairs(KEYS) do
  local owner = ARGV[2 * i - 1]
  local held = redis.pcall('GET', key)
  if type(held) == 'table' then
    -- Of another type, so another's. Anything else concerns all of them.
    if not string.find(held.err, 'WRONGTYPE', 1, true) then
      return held
    end
    answer[i] = -1
  elseif not held then
    answer[i] = 0
  elseif string.sub(held, 1, #owner) ~= owner then
    answer[i] = -1
  else
    redis.call('PEXPIRE', key, ARGV[2 * i])
    answer[i] = 1
  end
end
return answer
