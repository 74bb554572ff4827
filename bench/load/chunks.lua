-- Closed-loop load for wrk. Every request is new: the first digits of all timestamps and the last digits of all values change
-- with each one, so that no server gains by recognising, merging or compressing equal data. One table.concat inserts both,
-- as its separator, which costs a few microseconds for 100 points.
-- A run warms up, then counts for some seconds (or until a number of requests is sent). Then each connection is parked as
-- soon as it has its answer: it sends the beginning of a request and never the rest. When all are parked, every request is
-- answered, and "drained" is written to standard error. support/node-load.ts sends the same requests.
local ffi = require("ffi")
ffi.cdef([[ typedef struct { long seconds; long microseconds; } moment; int gettimeofday(moment *, void *); ]])
local clock = ffi.new("moment")
local function now()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.seconds) + tonumber(clock.microseconds) * 1e-6
end

local function setting(name) return os.getenv("LOAD_" .. name) end
local function number(name) return tonumber(setting(name)) end

local warm, seconds, quota, connections = number("WARM"), number("SECONDS"), number("REQUESTS"), number("CONNECTIONS")
local channels, first_period, first = number("CHANNELS"), number("PERIOD"), number("FIRST")
local format = setting("FORMAT")
-- The kinds of channels in a mix, whose values are complete and get no digits added; 0 for no mix.
local kinds = number("KINDS")

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

-- Globals, because wrk reads them at the end.
sent, counted, counted_seconds = 0, 0, 0

local streams, head = {}, ""
local suffixes, values = {}, {}

local function split(text)
  local parts = {}
  for part in string.gmatch(text, "%S+") do parts[#parts + 1] = part end
  return parts
end

local function finish_pieces(suffix_list, value_list, stream)
  local last = #suffix_list
  if format == "influx" then
    local line = "thickness,data_id=" .. stream .. " value="
    local pieces = { line .. value_list[1] }
    for i = 1, last - 1 do pieces[i + 1] = suffix_list[i]:gsub("%.", ""):sub(1, 8) .. "\n" .. line .. value_list[i + 1] end
    pieces[last + 1] = suffix_list[last]:gsub("%.", ""):sub(1, 8)
    return pieces
  end
  local pieces = {}
  for i = 1, last do
    local suffix = suffix_list[i]
    -- Milliseconds.
    if format == "victoria" then suffix = suffix:gsub("%.", ""):sub(1, 5) end
    pieces[i] = suffix .. (i < last and "," or "")
  end
  return pieces
end

function init(args)
  for stream in string.gmatch(setting("STREAMS"), "[^,]+") do streams[#streams + 1] = stream end
  local number_of = 0
  for line in io.lines(setting("VARIANTS")) do
    local suffix_text, value_text = line:match("^(.-)|(.*)$")
    local value_list = split(value_text)
    suffixes[number_of] = finish_pieces(split(suffix_text), value_list, streams[number_of % #streams + 1])
    values[number_of] = value_list
    number_of = number_of + 1
  end
  variant_count = number_of
  local key = setting("KEY")
  local host = "Host: " .. wrk.headers["Host"] .. "\r\n"
  local key_line = key ~= "" and "X-API-KEY: " .. key .. "\r\n" or ""
  head = "POST " .. setting("PATH") .. " HTTP/1.1\r\n" .. host .. key_line .. "Content-Type: application/json\r\nContent-Length: "
end

local function readings(variant, period, tail)
  return '"timestamps":[' .. period .. table.concat(suffixes[variant], period) ..
    '],"values":[' .. table.concat(values[variant], tail .. ",") .. tail .. "]"
end

local function variant_of(n, channel)
  if kinds == 0 then return (n * channels + channel) % variant_count end
  return (n * kinds + (n % #streams * channels + channel) % kinds) % variant_count
end

local function victoria_line(n, channel, stream, period, tail)
  local label = channels > 1 and ',"channel":"channel-' .. channel .. '"' or ""
  return '{"metric":{"__name__":"thickness","data_id":"' .. stream .. '"' .. label .. "}," ..
    readings(variant_of(n, channel), period, tail) .. "}\n"
end

local function body_of(n)
  local stream = streams[n % #streams + 1]
  local chunk_index = math.floor(n / #streams)
  local period = string.format("%d", first_period + chunk_index)
  local tail = kinds == 0 and string.format("%06d", n % 1000000) or ""
  local variant = variant_of(n, 0)
  if format == "influx" then return table.concat(suffixes[variant], tail .. " " .. period) end
  if format == "victoria" then
    local lines = {}
    for channel = 0, channels - 1 do lines[channel + 1] = victoria_line(n, channel, stream, period, tail) end
    return table.concat(lines)
  end
  local address = '{"data_id":"' .. stream .. '","chunk_index":' .. chunk_index
  if format == "chunk" then
    return address .. ',"channel_name":"thickness",' .. readings(variant, period, tail) .. ',"units":"nm"}'
  end
  local parts = {}
  for channel = 0, channels - 1 do
    parts[channel + 1] = '"channel-' .. channel .. '":{' .. readings(variant_of(n, channel), period, tail) .. ',"units":"nm"}'
  end
  return address .. ',"channels":{' .. table.concat(parts, ",") .. "}}"
end

local phase = "verify"
local since, sent_before, parked = nil, 0, 0

local function step()
  local time = now()
  if since == nil then since = time end
  if phase == "warm" and time - since >= warm then
    phase, since, sent_before = "count", time, sent
  end
  if phase == "count" and (time - since >= seconds or sent >= quota) then
    phase, counted, counted_seconds = "park", sent - sent_before, time - since
  end
end

function request()
  -- At its start wrk asks for one request to inspect it, and does not send it.
  if phase == "verify" then
    phase = "warm"
    return "GET / HTTP/1.1\r\n\r\n"
  end
  step()
  if phase == "park" then
    parked = parked + 1
    if parked == connections then io.stderr:write("drained\n") end
    return "GET / HTTP/1.1\r\n"
  end
  local body = body_of(first + sent)
  sent = sent + 1
  return head .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency, requests)
  local thread, errors = threads[1], summary.errors
  io.write(string.format('{"sent":%d,"counted":%d,"countedSeconds":%.6f,"refused":%d,"broken":%d}\n',
    thread:get("sent"), thread:get("counted"), thread:get("counted_seconds"), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
