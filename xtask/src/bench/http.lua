-- Announces for wrk: 10,000 torrents with 50 peers each, three of four announces by seeders. With the argument `close`,
-- a connection for each.

local hashes, number = {}, 0
for torrent = 0, 9999 do
  hashes[torrent] = "info_hash=%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7"
    .. string.format("%%%02x%%%02x%%00%%00", math.floor(torrent / 256), torrent % 256)
end

function init(args)
  math.randomseed(os.time())
  wrk.headers["Connection"] = args[1] == "close" and "close" or nil
end

function request()
  number = number + 1
  local left = number % 4 == 0 and 1000000 or 0
  local query = "/announce?" .. hashes[math.random(0, 9999)] .. "&peer_id=-XX0001-abcdefghijkl&port="
    .. (1024 + math.random(0, 49)) .. "&uploaded=0&downloaded=0&left=" .. left .. "&compact=1&numwant=30"
  return wrk.format("GET", query)
end
