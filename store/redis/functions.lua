#!lua name=picket1

-- What Picket keeps in Redis is changed by these functions only. They read no clock and draw no lots, so that a group of changes has the same effect whenever it is
-- applied. KEYS[1] is always the meta hash: "f" fence of the broker that owns the data, "g" number of its last group, "h" its name, "b" its beat,
-- "c" whether it has closed, "d" the data set's name, "v" the version of the records.

local function refuse(word, text) return redis.error_reply(word .. ' ' .. text) end

-- owner returns the last group's number if the caller owns the data, and otherwise an error.
local function owner(meta, fence)
  local held = redis.call('HMGET', meta, 'f', 'g')
  if not held[1] then return nil, refuse('PICKETEMPTY', 'there are no data') end
  local is, mine = tonumber(held[1]), tonumber(fence)
  if is > mine then return nil, refuse('PICKETFENCED', 'owner ' .. is .. ' has taken over from ' .. mine) end
  if is < mine then return nil, refuse('PICKETOLDER', 'owner ' .. mine .. ' is not known, only ' .. is) end
  return tonumber(held[2])
end

-- node returns the last group's number of a node if its row says that it lives, and otherwise an error. Where several nodes share the data, KEYS[1] is the row of the one that
-- calls, "n:" and its incarnation; package cluster/functions keeps it, but for "g", the number of the node's last group.
local function node(row)
  local held = redis.call('HMGET', row, 'name', 'dead', 'g')
  if not held[1] or held[2] then return nil, refuse('PICKETFENCED', 'this node has been taken for dead') end
  return tonumber(held[3] or 0)
end

-- caller is what of both applies: a broker alone names its fence, and a node 0.
local function caller(keys, fence)
  if fence == '0' then return node(keys[1]) end
  return owner(keys[1], fence)
end

-- The newest version of what lies under the prefix that is known here: 2 where nodes share it.
local newest = 2

-- known returns an error if what is there is of a newer version.
local function known(version)
  if tonumber(version or 0) > newest then return refuse('PICKETNEWER', 'records of version ' .. version) end
end

-- picket1_open makes a broker the owner, and has nodes be forgotten. KEYS: meta, nodes. ARGV: name, data set's name if there is none, version, and the fence to take again after a loss, or 0.
local function open(keys, args)
  local meta, nodes = keys[1], keys[2]
  local held = redis.call('HMGET', meta, 'f', 'd', 'v')
  local err = known(held[3])
  if err then return err end
  local fence, again = tonumber(held[1] or 0), tonumber(args[4])
  if again == 0 then again = fence + 1 end
  if again <= fence then return refuse('PICKETFENCED', 'owner ' .. fence .. ' is there') end
  for _, incarnation in ipairs(redis.call('HKEYS', nodes)) do
    if tonumber(incarnation) then
      redis.call('HDEL', nodes, incarnation)
      local prefix = string.sub(nodes, 1, -2)
      for _, kind in ipairs({'n:', 'o:', 'g:', 'x:'}) do redis.call('DEL', prefix .. kind .. incarnation) end
    end
  end
  local set = held[2] or args[2]
  redis.call('HSET', meta, 'f', again, 'g', 0, 'h', args[1], 'c', 0, 'd', set, 'v', args[3])
  return {tostring(again), set}
end

-- picket1_share has nodes use the data from now on. What a broker alone has left becomes that of a node which is dead, to be adopted. KEYS: meta, sessions, nodes, the prefix of a row,
-- that of the set of what a node owns. ARGV: data set's name if there is none, version. The answer is a number that rises, and the data set's name.
local function share(keys, args)
  local held = redis.call('HMGET', keys[1], 'd', 'v', 'h')
  local err = known(held[2])
  if err then return err end
  if held[3] ~= 'nodes' and redis.call('EXISTS', keys[2]) == 1 then
    local incarnation = string.format('%d', redis.call('HINCRBY', keys[3], 'last', 1))
    redis.call('HSET', keys[3], incarnation, '')
    redis.call('HSET', keys[4] .. incarnation, 'name', held[3] or '', 'address', '', 'fingerprint', '', 'beat', 0, 'dead', 1)
    redis.call('SUNIONSTORE', keys[5] .. incarnation, keys[2])
  end
  local set = held[1] or args[1]
  redis.call('HSET', keys[1], 'g', 0, 'h', 'nodes', 'c', 1, 'd', set, 'v', args[2])
  return {string.format('%d', redis.call('HINCRBY', keys[1], 'f', 1)), set}
end

-- refer and unrefer count the entries that refer to a body.
local function refer(bodies, counts, id, body, n)
  if redis.call('HINCRBY', counts, id, n) == n then redis.call('HSET', bodies, id, body) end
end

local function unrefer(bodies, counts, id)
  if redis.call('HEXISTS', counts, id) == 0 then return end
  if redis.call('HINCRBY', counts, id, -1) <= 0 then
    redis.call('HDEL', counts, id)
    redis.call('HDEL', bodies, id)
  end
end

-- shared tells whether an entry's record refers to a body: bit 4 of its second byte.
local function shared(record) return bit.band(string.byte(record, 2) or 0, 16) ~= 0 end

-- ends removes a session, and puts its queue aside, which is removed piece by piece. It returns by how much the number of entries changes.
local function ends(k, s, q, name, aside)
  redis.call('DEL', s)
  redis.call('SREM', k[2], name)
  local n = redis.call('HLEN', q)
  if n > 0 then
    redis.call('RENAME', q, aside)
    redis.call('SADD', k[6], aside)
  end
  return -n
end

-- empty removes a session as ends does, but leaves what says which node has it.
local function empty(k, s, q, name, aside)
  local held = redis.call('HMGET', s, 'o', 'f', 'c', 'w')
  local n = ends(k, s, q, name, aside)
  for i, field in ipairs({'o', 'f', 'c', 'w'}) do
    if held[i] then redis.call('HSET', s, field, held[i]) end
  end
  return n
end

-- number reads one of up to 7 digits of 7 bits.
local function number(record, at)
  local n, factor = 0, 1
  while true do
    local b = string.byte(record, at)
    n = n + bit.band(b, 127) * factor
    if b < 128 then return n, at + 1 end
    factor, at = factor * 128, at + 1
  end
end

-- How many changes of retained messages are listed, for nodes that missed them.
local mostChanges = 65536

-- Each change of a retained message that nodes share has a version, which is its place in the stream of the changes: two numbers, the epoch, and one that is counted in it.
-- What a master has lost must not give its versions to something else: an epoch begins when a node finds another master (picket1_epoch). epoch returns that in force.
local function epoch(stream)
  local top = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return top and tonumber(string.match(top[1], '^%d+')) or 0
end

-- The operations of a group, each a name, how many arguments, and they. KEYS: meta or row, sessions, bodies, counts, retained, ended, of a node the stream of changes of
-- retained messages, then those that the operations name by their place. In the same table stand "ends", what removes a session, and in a node's group "fenced": the places, as text, of what another node has.
local apply = {
  -- entries: queue, then sequence number and record of each
  Q = function(k, a, i, n)
    return redis.call('HSET', k[tonumber(a[i])], unpack(a, i + 1, i + n - 1))
  end,
  -- a body and how many entries have been added that refer to it
  B = function(k, a, i) refer(k[3], k[4], a[i], a[i + 1], tonumber(a[i + 2])) return 0 end,
  -- the same of a node: a body, then each queue and how many entries have been added to it
  C = function(k, a, i, n)
    local all = 0
    for at = i + 2, i + n - 1, 2 do
      if not k.fenced[a[at]] then all = all + tonumber(a[at + 1]) end
    end
    if all > 0 then refer(k[3], k[4], a[i], a[i + 1], all) end
    return 0
  end,
  -- removal of entries without a body: queue, sequence numbers
  X = function(k, a, i, n)
    return -redis.call('HDEL', k[tonumber(a[i])], unpack(a, i + 1, i + n - 1))
  end,
  -- removal of an entry with a body: queue, sequence number, body
  Y = function(k, a, i)
    if redis.call('HDEL', k[tonumber(a[i])], a[i + 1]) == 0 then return 0 end
    unrefer(k[3], k[4], a[i + 2])
    return -1
  end,
  -- release of an entry: queue, sequence number, body or nothing, record
  L = function(k, a, i)
    local q = k[tonumber(a[i])]
    local was = redis.call('HGET', q, a[i + 1])
    if not was then return 0 end
    if shared(was) then unrefer(k[3], k[4], a[i + 2]) end
    redis.call('HSET', q, a[i + 1], a[i + 3])
    return 0
  end,
  -- fields of a session: key, then name and value of each
  S = function(k, a, i, n) redis.call('HSET', k[tonumber(a[i])], unpack(a, i + 1, i + n - 1)) return 0 end,
  -- a session that is new: key, queue, name, its number, the key to put the queue of one before under whose end has not come yet
  N = function(k, a, i)
    local s = k[tonumber(a[i])]
    local was, n = redis.call('HGET', s, 'n'), 0
    if was and was ~= a[i + 3] then n = k.ends(k, s, k[tonumber(a[i + 1])], a[i + 2], k[tonumber(a[i + 4])]) end
    redis.call('SADD', k[2], a[i + 2])
    redis.call('HSET', s, 'n', a[i + 3])
    return n
  end,
  -- fields of a session that go: key, names
  D = function(k, a, i, n) redis.call('HDEL', k[tonumber(a[i])], unpack(a, i + 1, i + n - 1)) return 0 end,
  -- end of a session, unless another has its name by now: the same
  Z = function(k, a, i)
    local s = k[tonumber(a[i])]
    if redis.call('HGET', s, 'n') ~= a[i + 3] then return 0 end
    return k.ends(k, s, k[tonumber(a[i + 1])], a[i + 2], k[tonumber(a[i + 4])])
  end,
  -- retained message: topic, record
  R = function(k, a, i) redis.call('HSET', k[5], a[i], a[i + 1]) return 0 end,
  -- no retained message: topic
  F = function(k, a, i) redis.call('HDEL', k[5], a[i]) return 0 end,
  -- the retained message of a topic that nodes share: topic, record or nothing. It gets a version
  V = function(k, a, i, n)
    if n == 1 then redis.call('HDEL', k[5], a[i]) else redis.call('HSET', k[5], a[i], a[i + 1]) end
    k.last = redis.call('XADD', k[7], 'MAXLEN', '~', mostChanges, string.format('%d-*', epoch(k[7])), 't', a[i])
    return 0
  end,
  -- no retained message any more if what there is expires: topic, Unix seconds. Nodes find that by themselves, so it gets no version
  G = function(k, a, i)
    local record = redis.call('HGET', k[5], a[i])
    if not record then return 0 end
    local expires = number(record, 3)
    if expires > 0 and expires <= tonumber(a[i + 1]) then redis.call('HDEL', k[5], a[i]) end
    return 0
  end,
}

-- The operations whose first argument is the place of a session's key or of its queue's.
local owned = {Q = true, X = true, Y = true, L = true, S = true, N = true, D = true, Z = true}

-- picket1_commit applies a group of changes. ARGV: fence, number of the group, operations. The answer is by how much the number of entries has changed, how many bodies
-- there are, and how many queues of ended sessions. A group that has been applied before changes nothing.
local function commit(keys, args)
  local last, err = owner(keys[1], args[1])
  if err then return err end
  local group = tonumber(args[2])
  if group <= last then return {0, redis.call('HLEN', keys[4]), redis.call('SCARD', keys[6])} end
  if group > last + 1 then return refuse('PICKETGAP', 'group ' .. group .. ' came, ' .. last .. ' was the last') end
  keys.ends = ends
  local i, entries = 3, 0
  while i <= #args do
    local n = tonumber(args[i + 1])
    entries = entries + apply[args[i]](keys, args, i + 2, n)
    i = i + 2 + n
  end
  redis.call('HSET', keys[1], 'g', group)
  return {entries, redis.call('HLEN', keys[4]), redis.call('SCARD', keys[6])}
end

-- picket1_node_commit applies a group of changes of a node. ARGV: incarnation, number of the group, how many sessions, then of each the place of its key, behind which its queue's
-- comes, and the fence that the node has of it, then the operations. Behind what picket1_commit answers there are both numbers of the last version given, or 0, and the numbers of the
-- sessions that another node has, or whose fence is another: what belongs to them is left out. A group that has been applied before changes nothing but retained messages, which
-- are changed again, since nobody knows which versions they have got.
local function nodeCommit(keys, args)
  local last, err = node(keys[1])
  if err then return err end
  local group = tonumber(args[2])
  if group > last + 1 then return refuse('PICKETGAP', 'group ' .. group .. ' came, ' .. last .. ' was the last') end
  local sessions, fenced, answer = tonumber(args[3]), {}, {0, 0, 0, 0, 0}
  for at = 1, sessions do
    local place, fence = args[2 + 2 * at], args[3 + 2 * at]
    local held = redis.call('HMGET', keys[tonumber(place)], 'o', 'f')
    if held[1] ~= args[1] or held[2] ~= fence then
      fenced[place], fenced[tostring(tonumber(place) + 1)] = true, true
      answer[#answer + 1] = at
    end
  end
  keys.ends, keys.fenced = empty, fenced
  local i = 4 + 2 * sessions
  while i <= #args do
    local name, n = args[i], tonumber(args[i + 1])
    if (group > last or name == 'V') and not (fenced[args[i + 2]] and owned[name]) then answer[1] = answer[1] + apply[name](keys, args, i + 2, n) end
    i = i + 2 + n
  end
  if group > last then redis.call('HSET', keys[1], 'g', group) end
  if keys.last then
    local first, second = string.match(keys.last, '^(%d+)-(%d+)$')
    answer[4], answer[5] = tonumber(first), tonumber(second)
  end
  answer[2], answer[3] = redis.call('HLEN', keys[4]), redis.call('SCARD', keys[6])
  return answer
end

-- skip returns where the next number of a record begins.
local function skip(record, at)
  while string.byte(record, at) >= 128 do at = at + 1 end
  return at + 1
end

-- body returns the number of the body that an entry's record refers to, as it stands there.
local function body(record)
  local at = skip(record, skip(record, 3))
  local n
  n, at = number(record, at)
  for _ = 1, n do at = skip(record, at) end
  return string.sub(record, at)
end

-- picket1_purge removes some entries of the queues of ended sessions. KEYS: meta or row, sessions, bodies, counts, retained, ended, a queue. ARGV: fence, or 0. The answer is
-- how many are left of that queue.
local function purge(keys, args)
  local _, err = caller(keys, args[1])
  if err then return err end
  local found = redis.call('HRANDFIELD', keys[7], 500, 'WITHVALUES')
  for i = 1, #found, 2 do
    if shared(found[i + 1]) then unrefer(keys[3], keys[4], body(found[i + 1])) end
    redis.call('HDEL', keys[7], found[i])
  end
  local left = redis.call('HLEN', keys[7])
  if left == 0 then redis.call('SREM', keys[6], keys[7]) end
  return left
end

-- picket1_mark is the write that a connection waits for with WAIT: it fails unless the group is there. ARGV: fence, or 0, number of the group, beat.
local function mark(keys, args)
  local last, err = caller(keys, args[1])
  if err then return err end
  if last < tonumber(args[2]) then return refuse('PICKETGAP', 'group ' .. args[2] .. ' is missing, ' .. last .. ' was the last') end
  redis.call('HSET', keys[1], 'b', args[3])
  return last
end

-- picket1_epoch begins an epoch. KEYS: the stream of changes of retained messages. ARGV: the highest epoch that is known. The entry without a topic has nodes read all messages again.
local function begin(keys, args)
  local id = string.format('%d-0', math.max(epoch(keys[1]), tonumber(args[1])) + 1)
  return redis.call('XADD', keys[1], 'MAXLEN', '~', mostChanges, id, 't', '')
end

-- picket1_close notes that the owner has ended. ARGV: fence.
local function close(keys, args)
  local last, err = owner(keys[1], args[1])
  if err then return err end
  redis.call('HSET', keys[1], 'c', 1)
  return last
end

redis.register_function('picket1_open', open)
redis.register_function('picket1_share', share)
redis.register_function('picket1_commit', commit)
redis.register_function('picket1_node_commit', nodeCommit)
redis.register_function{function_name='picket1_node_remove', callback=nodeCommit, flags={'allow-oom'}}
redis.register_function{function_name='picket1_remove', callback=commit, flags={'allow-oom'}}
redis.register_function{function_name='picket1_purge', callback=purge, flags={'allow-oom'}}
redis.register_function{function_name='picket1_mark', callback=mark, flags={'allow-oom'}}
redis.register_function{function_name='picket1_epoch', callback=begin, flags={'allow-oom'}}
redis.register_function{function_name='picket1_close', callback=close, flags={'allow-oom'}}
