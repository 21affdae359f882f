"""What Redis does in one step, by its own clock."""

# Redis forgets its scripts when it restarts; the client sends them again.

BEAT = """
-- KEYS: generation, replicas. ARGV: replica, seconds a replica counts as alive, chance, channel.
-- A server that restarted, or lost its memory, begins a generation. The first write is one that a
-- server without free memory refuses: else all later ones would pass, and it would seem well.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local generation = redis.call('GET', KEYS[1])
if not generation or string.sub(generation, 1, #run) ~= run then
  generation = run .. ':' .. string.format('%.6f', now) .. ':' .. ARGV[3]
  redis.call('SET', KEYS[1], generation)
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2])
redis.call('EXPIRE', KEYS[1], 86400)
redis.call('EXPIRE', KEYS[2], 86400)
redis.call('PUBLISH', ARGV[4], '{"kind": "beat"}')
return {generation, string.format('%.6f', now), redis.call('ZCARD', KEYS[2])}
"""

TAKE = """
-- KEYS: generation, all ledgers, then two for each that is counted: its calls, those that run.
-- ARGV: generation, member, caller, replica, seconds a place is held, seconds calls are kept,
-- channel, and JSON: for each that is counted its name, its bounds as {limit, seconds, of the
-- caller alone}, and how many may run at once (0: any number).
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local generation = redis.call('GET', KEYS[1])
if generation ~= ARGV[1] or string.sub(generation, 1, #run) ~= run then
  return {'generation'}
end
local moment = string.format('%.6f', now)
local counted = cjson.decode(ARGV[8])

local function used(calls, since, caller_alone)
  if not caller_alone then return redis.call('ZCOUNT', calls, '(' .. since, '+inf') end
  local count = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', calls, '(' .. since, '+inf')) do
    if string.match(member, '^[^|]*|(.*)$') == ARGV[3] then count = count + 1 end
  end
  return count
end

local function verdict()
  if redis.call('ZSCORE', KEYS[3], ARGV[2]) then return 'taken' end
  for index, each in ipairs(counted) do
    for _, bound in ipairs(each.bounds) do
      local since = string.format('%.6f', now - bound[2])
      if used(KEYS[2 * index + 1], since, bound[3]) >= bound[1] then return 'full' end
    end
  end
  for index, each in ipairs(counted) do
    redis.call('ZREMRANGEBYSCORE', KEYS[2 * index + 2], '-inf', now)
    if each.at_once > 0 and redis.call('ZCARD', KEYS[2 * index + 2]) >= each.at_once then
      return 'busy'
    end
  end
  for index, each in ipairs(counted) do
    local calls, places = KEYS[2 * index + 1], KEYS[2 * index + 2]
    redis.call('ZREMRANGEBYSCORE', calls, '-inf', now - ARGV[6])
    redis.call('ZADD', calls, moment, ARGV[2])
    redis.call('EXPIRE', calls, ARGV[6])
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[6])
    redis.call('ZADD', KEYS[2], moment, each.name)
    redis.call('EXPIRE', KEYS[2], ARGV[6])
    redis.call('PUBLISH', ARGV[7], cjson.encode({
      kind = 'made', from = ARGV[4], ledger = each.name, member = ARGV[2], moment = moment,
    }))
    if each.at_once > 0 then
      redis.call('ZADD', places, now + ARGV[5], ARGV[2])
      redis.call('EXPIRE', places, ARGV[6])
    end
  end
  return 'taken'
end

local answer = {verdict(), moment}
for index, each in ipairs(counted) do
  answer[#answer + 1] = redis.call('ZRANGE', KEYS[2 * index + 1], 0, -1, 'WITHSCORES')
  answer[#answer + 1] = redis.call('ZCARD', KEYS[2 * index + 2])
end
return answer
"""

KEEP = """
-- KEYS: the reply, the epoch, the index of what is kept. ARGV: epoch that the read began in, when
-- it was asked (of fixed width), the reply, milliseconds to keep it, most bytes of all together.
-- What was asked before a write, or before the reply that is there, is not kept.
local epoch = redis.call('GET', KEYS[2]) or ''
if epoch ~= ARGV[1] then return 0 end
local there = redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1)
if there > ARGV[2] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local sum, kept = #ARGV[3], redis.call('ZRANGE', KEYS[3], 0, -1)
for _, member in ipairs(kept) do sum = sum + tonumber(string.match(member, '^%d+')) end
for _, member in ipairs(kept) do
  local size, key = string.match(member, '^(%d+) (.*)$')
  if key == KEYS[1] or sum > tonumber(ARGV[5]) then
    sum = sum - tonumber(size)
    redis.call('ZREM', KEYS[3], member)
    redis.call('DEL', key)
  end
end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3], 'PX', ARGV[4])
redis.call('ZADD', KEYS[3], now + ARGV[4], #ARGV[3] .. ' ' .. KEYS[1])
redis.call('PEXPIRE', KEYS[3], math.max(ARGV[4], redis.call('PTTL', KEYS[3])))
return 1
"""

RELEASE = """
-- KEYS: a lock. ARGV: who holds it.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

RENEW = """
-- KEYS: a lock. ARGV: who holds it, milliseconds.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
