"""Numbered UDP: `numbered.py send IP PORT COUNT PER_SECOND` and `numbered.py receive PORT COUNT`.

The sender keeps the pace without ever making up for more than a few milliseconds, so that no queue of ours is flooded by a
sender that was not scheduled. The receiver prints, as JSON, how many numbers came, how often one came twice, and how
often one came behind a larger one; it ends when the last number is there, or two seconds after nothing came.
"""
import json
import socket
import struct
import sys
import time

if sys.argv[1] == "send":
    target, count, rate = (sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), int(sys.argv[5])
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    began = due = time.monotonic()
    for number in range(count):
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
        elif now - due > 0.004:
            due = now - 0.004
        due += 1 / rate
        s.sendto(struct.pack("!I", number) + b"x" * 60, target)
    print(json.dumps({"sent": count, "seconds": time.monotonic() - began}))
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    s.bind(("0.0.0.0", int(sys.argv[2])))
    count, seen, twice, late, highest = int(sys.argv[3]), set(), 0, 0, -1
    print("listening", flush=True)
    s.settimeout(30)
    try:
        while highest < count - 1:
            number = struct.unpack("!I", s.recv(2048)[:4])[0]
            s.settimeout(2)
            twice += number in seen
            late += number < highest and number not in seen
            seen.add(number)
            highest = max(highest, number)
    except socket.timeout:
        pass
    print(json.dumps({"came": len(seen), "twice": twice, "late": late}), flush=True)
