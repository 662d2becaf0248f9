-- Makes one certified step of the route table, or none of it.
-- KEYS: routes, certificate, changes.
-- ARGV: cluster, epoch, holder, new certificate, base version ("" for a whole table), update for the stream,
--       length of the stream, field of the stream, number of hosts to remove, those hosts, then host and route in turn.

-- Somebody else's text under the certificate's key certifies nothing, whatever it decodes to.
local function is_cert(cert)
  return type(cert) == 'table' and type(cert.version) == 'number' and type(cert.count) == 'number'
    and type(cert.fence) == 'table' and type(cert.fence.cluster) == 'string'
    and type(cert.fence.epoch) == 'number' and type(cert.fence.holder) == 'string'
end

local function is_free_or(kind, key)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end

local old = redis.pcall('GET', KEYS[2])
local seen = nil
if type(old) == 'string' then
  local ok, cert = pcall(cjson.decode, old)
  if ok and is_cert(cert) then seen = cert end
end
if seen then
  if seen.fence.cluster ~= ARGV[1] then return {'cluster', seen.fence.cluster} end
  if seen.fence.epoch > tonumber(ARGV[2]) then return {'older', tostring(seen.fence.epoch)} end
  if seen.fence.epoch == tonumber(ARGV[2]) and seen.fence.holder ~= ARGV[3] then return {'holder', tostring(seen.fence.epoch)} end
end
if ARGV[5] ~= '' then
  -- A step fits only the table it was made for, and only if that table is still whole.
  if not seen or ARGV[5] ~= (seen.fence.epoch .. '/' .. seen.version) then return {'gap', ''} end
  if not is_free_or('hash', KEYS[1]) or seen.count ~= redis.call('HLEN', KEYS[1]) then return {'gap', ''} end
end

-- A command that fails takes nothing back of those before it, so from here on none may.
local first = 10
local removals = tonumber(ARGV[9])
if not is_free_or('stream', KEYS[3]) then redis.call('DEL', KEYS[3]) end
if ARGV[5] == '' then redis.call('DEL', KEYS[1]) end
for i = first, first + removals - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = first + removals, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[7], '*', ARGV[8], ARGV[6])
return {'ok', ''}
