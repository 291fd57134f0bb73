"""Send what no program asks for: frames and datagrams whose segment sizes are the test's own.

super-send.py device DEVICE     one frame per line of stdin: "GSO_TYPE GSO_SIZE CSUM_START CSUM_OFFSET HEX", put on the device by
                                a packet socket with these words in its virtio_net_hdr (CAP_NET_RAW is enough)
super-send.py udp FROM TO       one send per line: "SEGMENT HEX", to port 4789; the kernel cuts every SEGMENT bytes (0: it does not)
Prints how many were sent.
"""
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR = 263, 15
UDP_SEGMENT = 103
NEEDS_CSUM = 1
verb = sys.argv[1]
count = 0
if verb == "device":
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    out.bind((sys.argv[2], 0))
    for line in sys.stdin:
        kind, size, start, offset, frame = line.split()
        frame = bytes.fromhex(frame)
        vnet = struct.pack("<BBHHHH", NEEDS_CSUM, int(kind), min(len(frame), 64), int(size), int(start), int(offset))
        out.send(vnet + frame)
        count += 1
else:
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind((sys.argv[2], 0))
    for line in sys.stdin:
        segment, data = line.split()
        notes = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", int(segment)))] if segment != "0" else []
        out.sendmsg([bytes.fromhex(data)], notes, 0, (sys.argv[3], 4789))
        count += 1
print(count)
