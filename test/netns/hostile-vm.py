"""A VM that hands its TAP over and then plays with the file it shares with the gateway.

    hostile-vm.py SOCKET AC ADDRESS/LENGTH

Every line on stdin is a trick to do; "done" answers each. The open file behind a file descriptor that was passed on is one
for both (dup(2)), and so are its flags and the device's settings.
"""
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

TUNSETIFF, TUNSETSNDBUF, TUNSETVNETHDRSZ, TUNSETOFFLOAD = 0x400454CA, 0x400454D4, 0x400454D8, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000

path, ac, address = sys.argv[1:]
tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
subprocess.run(["ip", "link", "set", "dev", "eth0", "mtu", "1450", "up"], check=True)
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
claim = json.dumps({"version": 1, "ac": ac, "device": "eth0"}) + "\n"
socket.send_fds(connection, [claim.encode()], [tap])
print(connection.recv(4096).decode().strip(), flush=True)
subprocess.run(["ip", "addr", "add", address, "dev", "eth0"], check=True)

TRICKS = {
    # The next read or write of the gateway waits until the VM has something to say.
    "block": lambda: fcntl.fcntl(tap, fcntl.F_SETFL, fcntl.fcntl(tap, fcntl.F_GETFL) & ~os.O_NONBLOCK),
    # A queue that is full after the first frame.
    "narrow": lambda: fcntl.ioctl(tap, TUNSETSNDBUF, struct.pack("i", 1)),
    # Every frame begins elsewhere than the gateway believes.
    "shift": lambda: fcntl.ioctl(tap, TUNSETVNETHDRSZ, struct.pack("i", 64)),
    "no-offload": lambda: fcntl.ioctl(tap, TUNSETOFFLOAD, 0),
}
for line in sys.stdin:
    TRICKS[line.strip()]()
    print("done", flush=True)
