-- Announces for wrk: 200 torrents with 50 peers each, three of four announces by seeders. With the argument `close`, a
-- connection for each. They are written down before anything is measured: wrk shares the machine with the tracker.

local requests, number = {}, 0

function init(args)
  wrk.headers["Connection"] = args[1] == "close" and "close" or nil
  for index = 1, 10000 do
    local left = index % 4 == 0 and 1000000 or 0
    local query = "/announce?info_hash=%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7%a7"
      .. string.format("%%00%%%02x%%00%%00", index % 200)
      .. "&peer_id=-XX0001-abcdefghijkl&port=" .. (1024 + math.floor(index / 200) % 50)
      .. "&uploaded=0&downloaded=0&left=" .. left .. "&compact=1&numwant=30"
    requests[index] = wrk.format("GET", query)
  end
  -- Threads of wrk begin at different places.
  math.randomseed(os.time())
  number = math.random(0, 9999)
end

function request()
  number = number % 10000 + 1
  return requests[number]
end
