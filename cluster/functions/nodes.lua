#!lua name=picket2

-- What nodes of a cluster know of one another and who has which session is changed by these functions only; cluster/machine says what each of them is for. They read no clock, and each can
-- be repeated. KEYS[1] is always the hash of the nodes, whose name without its last letter is what all keys begin with: incarnation → nothing, "last" → the last incarnation
-- given out, "floor" → the highest fence of a session that has been dropped. All keys lie in one slot of a Redis Cluster. Beside it there are, of each incarnation,
--   n:INC  hash: name, address, fingerprint, beat; dead: it has been buried; owed: sessions that it had and of which seen has not been said; place: of the last letter
--   o:INC  set: the names of the sessions that it owns
--   g:INC  hash: the sessions that it has adopted and not named yet → their fences
--   x:INC  stream: its mailbox
-- and in a session's hash s:NAME its owner "o", its fence "f", its client identifier "c", and the incarnations "w" that had it until seen is said, each with a comma behind it.

local function refuse(word, text) return redis.error_reply(word .. ' ' .. text) end

local function prefix(keys) return string.sub(keys[1], 1, -2) end

local function live(p, inc)
  local held = redis.call('HMGET', p .. 'n:' .. inc, 'name', 'dead')
  return held[1] and not held[2]
end

-- caller returns what all keys begin with, or an error if whoever calls has been buried.
local function caller(keys, args)
  local p = prefix(keys)
  if live(p, args[1]) then return p end
  return nil, refuse('PICKETFENCED', 'incarnation ' .. args[1] .. ' has been buried')
end

-- retire removes what is left of a buried incarnation that is of no concern any more.
local function retire(p, inc)
  local held = redis.call('HMGET', p .. 'n:' .. inc, 'dead', 'owed')
  if not held[1] or tonumber(held[2] or 0) > 0 or redis.call('EXISTS', p .. 'o:' .. inc) == 1 then return end
  redis.call('DEL', p .. 'n:' .. inc)
  redis.call('HDEL', p .. 'n', inc)
end

local function bury(p, inc)
  redis.call('HSET', p .. 'n:' .. inc, 'dead', 1)
  redis.call('DEL', p .. 'x:' .. inc, p .. 'g:' .. inc)
  retire(p, inc)
end

-- picket2_join makes a row, and buries those of the same name. ARGV: name, address, fingerprint. The answer is the incarnation.
local function join(keys, args)
  local p = prefix(keys)
  for _, inc in ipairs(redis.call('HKEYS', keys[1])) do
    if tonumber(inc) then
      local held = redis.call('HMGET', p .. 'n:' .. inc, 'name', 'dead')
      if held[1] == args[1] and not held[2] then bury(p, inc) end
    end
  end
  local inc = string.format('%d', redis.call('HINCRBY', keys[1], 'last', 1))
  redis.call('HSET', keys[1], inc, '')
  redis.call('HSET', p .. 'n:' .. inc, 'name', args[1], 'address', args[2], 'fingerprint', args[3], 'beat', 0)
  return inc
end

-- picket2_beat: ARGV: caller, beat.
local function beat(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  local row = p .. 'n:' .. args[1]
  if tonumber(args[2]) > tonumber(redis.call('HGET', row, 'beat')) then redis.call('HSET', row, 'beat', args[2]) end
  return 1
end

-- picket2_rows: the answer has six texts for each row: incarnation, name, address, fingerprint, beat, and 1 if it is dead.
local function rows(keys)
  local p, all = prefix(keys), {}
  for _, inc in ipairs(redis.call('HKEYS', keys[1])) do
    if tonumber(inc) then
      local held = redis.call('HMGET', p .. 'n:' .. inc, 'name', 'address', 'fingerprint', 'beat', 'dead')
      all[#all + 1] = inc
      for i = 1, 5 do all[#all + 1] = held[i] or '' end
    end
  end
  return all
end

-- picket2_bury: ARGV: caller, incarnation, beat.
local function buryIfStill(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  local held = redis.call('HMGET', p .. 'n:' .. args[2], 'beat', 'dead')
  if not held[1] or held[2] then return 1 end
  if held[1] ~= args[3] then return refuse('PICKETCHANGED', 'its beat is ' .. held[1]) end
  bury(p, args[2])
  return 1
end

-- picket2_peek: KEYS: nodes, a session. ARGV: caller. The answer is the owner and the fence.
local function peek(keys, args)
  local _, err = caller(keys, args)
  if err then return err end
  local held = redis.call('HMGET', keys[2], 'o', 'f')
  return {held[1] or '0', held[2] or '0'}
end

-- named returns the client identifier of a session. A broker alone, which may have stored it, has it in the record only: behind two bytes, a number of 7 bits in each byte for its
-- length, and as many bytes.
local function named(key)
  local held = redis.call('HMGET', key, 'c', 'r')
  if held[1] or not held[2] then return held[1] or '' end
  local length, factor, at = 0, 1, 3
  while string.byte(held[2], at) >= 128 do
    length, factor, at = length + (string.byte(held[2], at) - 128) * factor, factor * 128, at + 1
  end
  length = length + string.byte(held[2], at) * factor
  return string.sub(held[2], at + 1, at + length)
end

-- session is what is answered of one: client identifier, fence, owner before, 1 if seen is to be said, how many texts follow, and its fields.
local function session(key, before)
  local held = redis.call('HMGET', key, 'f', 'w')
  local all = {named(key), held[1], before, held[2] and '1' or '', ''}
  for i, text in ipairs(redis.call('HGETALL', key)) do all[5 + i] = text end
  all[5] = string.format('%d', #all - 5)
  return all
end

-- move changes the owner of a session, which was before, or nil, and returns that.
local function move(p, key, name, to, before)
  local owes = redis.call('HGET', key, 'w') or ''
  if redis.call('HEXISTS', key, 'f') == 0 then redis.call('HSET', key, 'f', redis.call('HGET', p .. 'n', 'floor') or 0) end
  redis.call('HINCRBY', key, 'f', 1)
  redis.call('HSET', key, 'o', to)
  if before then
    redis.call('SREM', p .. 'o:' .. before, name)
    if before ~= to and redis.call('HEXISTS', p .. 'n:' .. before, 'name') == 1 and not string.find(',' .. owes, ',' .. before .. ',', 1, true) then
      redis.call('HSET', key, 'w', owes .. before .. ',')
      redis.call('HINCRBY', p .. 'n:' .. before, 'owed', 1)
    end
  end
  redis.call('SADD', p .. 'o:' .. to, name)
  return before or '0'
end

-- picket2_takeover: KEYS: nodes, a session. ARGV: caller, its name, its client identifier, its fence.
local function takeover(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  local held = redis.call('HMGET', keys[2], 'o', 'f')
  local fence = tonumber(held[2] or 0)
  if held[1] == args[1] and fence == tonumber(args[4]) + 1 then return session(keys[2], '0') end
  if fence ~= tonumber(args[4]) then return refuse('PICKETCHANGED', 'its fence is ' .. fence) end
  if fence == 0 then redis.call('HSET', keys[2], 'c', args[3]) end
  local before = move(p, keys[2], args[2], args[1], held[1])
  return session(keys[2], before)
end

-- adoptable tells whether what a buried incarnation has left is still its own. A broker alone names no owner, and one that it has found is nobody any more.
local function adoptable(p, key, dead)
  if redis.call('EXISTS', key) == 0 then return false end
  local owner = redis.call('HGET', key, 'o')
  return not owner or owner == dead or redis.call('HEXISTS', p .. 'n:' .. owner, 'name') == 0
end

-- picket2_adopt: ARGV: caller, a buried incarnation, how many, then name and fence of what has been had. The answer is one list for each session.
local function adopt(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  local given, all = p .. 'g:' .. args[1], {}
  for i = 4, #args, 2 do
    if redis.call('HGET', given, args[i]) == args[i + 1] then redis.call('HDEL', given, args[i]) end
  end
  if redis.call('HEXISTS', p .. 'n:' .. args[2], 'dead') == 1 then
    for _, name in ipairs(redis.call('SRANDMEMBER', p .. 'o:' .. args[2], args[3])) do
      local key = p .. 's:' .. name
      redis.call('SREM', p .. 'o:' .. args[2], name)
      if adoptable(p, key, args[2]) then
        move(p, key, name, args[1], args[2])
        redis.call('HSET', given, name, redis.call('HGET', key, 'f'))
      end
    end
    retire(p, args[2])
  end
  local had = redis.call('HGETALL', given)
  for i = 1, #had, 2 do
    local held = redis.call('HMGET', p .. 's:' .. had[i], 'o', 'f')
    if held[1] == args[1] and held[2] == had[i + 1] then all[#all + 1] = session(p .. 's:' .. had[i], args[2]) end
  end
  return all
end

-- settle notes that of a session nothing is owed any more to the incarnations that had it.
local function settle(p, owes)
  for inc in string.gmatch(owes, '%d+') do
    if redis.call('HINCRBY', p .. 'n:' .. inc, 'owed', -1) < 0 then redis.call('DEL', p .. 'n:' .. inc) end -- a broker alone has removed its row
    retire(p, inc)
  end
end

-- picket2_seen: KEYS: nodes, sessions. ARGV: caller, the fence of each session.
local function seen(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  for i = 2, #keys do
    local held = redis.call('HMGET', keys[i], 'o', 'f', 'w')
    if held[1] == args[1] and held[2] == args[i] and held[3] then
      redis.call('HDEL', keys[i], 'w')
      settle(p, held[3])
    end
  end
  return 1
end

-- picket2_drop: KEYS: nodes, a session. ARGV: caller, its name, its fence. A session that is stored has a number "n".
local function drop(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  local held = redis.call('HMGET', keys[2], 'o', 'f', 'w', 'n')
  if held[1] ~= args[1] or held[2] ~= args[3] or held[4] then return 0 end
  if tonumber(held[2]) > tonumber(redis.call('HGET', keys[1], 'floor') or 0) then redis.call('HSET', keys[1], 'floor', held[2]) end
  redis.call('DEL', keys[2])
  redis.call('SREM', p .. 'o:' .. args[1], args[2])
  if held[3] then settle(p, held[3]) end
  return 1
end

-- picket2_post: ARGV: caller, the receiver, frames.
local function post(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  if not live(p, args[2]) then return refuse('PICKETCHANGED', 'incarnation ' .. args[2] .. ' has been buried') end
  local place = redis.call('HINCRBY', p .. 'n:' .. args[2], 'place', 1)
  redis.call('XADD', p .. 'x:' .. args[2], string.format('%d-0', place), 'f', args[1], 'd', args[3])
  return 1
end

-- picket2_collect: ARGV: caller, place up to which letters are removed, how many are read. The answer has three texts for each: place, sender, frames.
local function collect(keys, args)
  local p, err = caller(keys, args)
  if err then return err end
  local box, all = p .. 'x:' .. args[1], {}
  redis.call('XTRIM', box, 'MINID', string.format('%d-0', tonumber(args[2]) + 1))
  for _, letter in ipairs(redis.call('XRANGE', box, '-', '+', 'COUNT', args[3])) do
    all[#all + 1] = string.match(letter[1], '^%d+')
    all[#all + 1] = letter[2][2]
    all[#all + 1] = letter[2][4]
  end
  return all
end

redis.register_function('picket2_join', join)
redis.register_function{function_name='picket2_rows', callback=rows, flags={'no-writes'}}
redis.register_function{function_name='picket2_peek', callback=peek, flags={'no-writes'}}
redis.register_function('picket2_post', post)
redis.register_function{function_name='picket2_beat', callback=beat, flags={'allow-oom'}}
redis.register_function{function_name='picket2_bury', callback=buryIfStill, flags={'allow-oom'}}
redis.register_function{function_name='picket2_takeover', callback=takeover, flags={'allow-oom'}}
redis.register_function{function_name='picket2_adopt', callback=adopt, flags={'allow-oom'}}
redis.register_function{function_name='picket2_drop', callback=drop, flags={'allow-oom'}}
redis.register_function{function_name='picket2_seen', callback=seen, flags={'allow-oom'}}
redis.register_function{function_name='picket2_collect', callback=collect, flags={'allow-oom'}}
