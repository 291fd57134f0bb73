"""Datagrams of exact sizes between two machines.

udp-sizes.py serve ADDRESS PORT COUNT     prints "ready", then [size, crc32] of each of COUNT datagrams, in order, as JSON
udp-sizes.py send ADDRESS PORT            one send per line of stdin: "SEGMENT TOTAL"; the kernel cuts TOTAL bytes every
                                          SEGMENT (UDP_SEGMENT; 0: it does not). Prints [size, crc32] of what that makes.
"""
import json
import random
import socket
import struct
import sys
import time
import zlib

UDP_SEGMENT = 103
verb, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
link = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
said = []
if verb == "serve":
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    link.bind((address, port))
    link.settimeout(20)
    print("ready", flush=True)
    try:
        while len(said) < int(sys.argv[4]):
            data = link.recv(65536)
            said.append([len(data), zlib.crc32(data)])
    except TimeoutError:
        pass
else:
    bytes_of = random.Random(7)
    for line in sys.stdin:
        segment, total = map(int, line.split())
        data = bytes_of.randbytes(total)
        notes = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", segment))] if segment else []
        link.sendmsg([data], notes, 0, (address, port))
        cut = segment or total
        said += [[len(data[at:at + cut]), zlib.crc32(data[at:at + cut])] for at in range(0, total, cut)]
        time.sleep(0.002)
print(json.dumps(said), flush=True)
