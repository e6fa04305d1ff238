#!/usr/bin/env python3
"""Writes a version 1 torrent file of one content file and prints its info hash in hex.

usage: make_torrent.py CONTENT ANNOUNCE_URL TORRENT
"""

import hashlib
import os
import sys

PIECE_BYTES = 64 * 1024


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    pairs = sorted((key.encode(), item) for key, item in value.items())
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in pairs) + b"e"


def main():
    content_path, announce_url, torrent_path = sys.argv[1:]
    with open(content_path, "rb") as file:
        content = file.read()
    pieces = (content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES))
    info = {
        "length": len(content),
        "name": os.path.basename(content_path),
        "piece length": PIECE_BYTES,
        "private": 1,
        "pieces": b"".join(hashlib.sha1(piece).digest() for piece in pieces),
    }
    with open(torrent_path, "wb") as file:
        file.write(bencode({"announce": announce_url, "info": info}))
    print(hashlib.sha1(bencode(info)).hexdigest())


if __name__ == "__main__":
    main()
