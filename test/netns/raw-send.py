"""Send frames as they are: raw-send.py DEVICE, one frame in hexadecimal per line of stdin. Prints how many were sent."""
import socket
import sys

out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
count = 0
for line in sys.stdin:
    out.send(bytes.fromhex(line))
    count += 1
print(count)
