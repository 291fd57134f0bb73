"""
A VLAN device for kernels that have none (8021q not built): vlan-device.py DEVICE VLAN

Makes the TAP DEVICE.VLAN and carries frames between it and DEVICE: a tag is put in one way and taken out the other. Both
ends speak the virtio header, so unfinished checksums and super-frames pass as they do through the kernel's own device;
only where the checksum starts moves by the four bytes of the tag.

The kernel takes a received tag out of the frame before a packet socket sees it and tells it beside the data
(PACKET_AUXDATA, packet(7)).
"""
import fcntl
import os
import selectors
import socket
import struct
import sys

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 8, 15, 23
TP_STATUS_VLAN_VALID = 1 << 4
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 1, 2, 4
VNET = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CSUM = 1

device, vlan = sys.argv[1], int(sys.argv[2])
tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", f"{device}.{vlan}".encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
lower = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
lower.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
lower.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
lower.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
lower.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
lower.bind((device, ETH_P_ALL))
lower.setblocking(False)


def moved(header, by):
    """The virtio header of a frame that grew by so many bytes in front of its network header."""
    flags, gso, length, size, start, offset = VNET.unpack(header)
    return VNET.pack(flags, gso, length + by if length else 0, size, start + by if flags & NEEDS_CSUM else 0, offset)


def inward():
    while True:
        try:
            frame = os.read(tap, 66000)
        except BlockingIOError:
            return
        tagged = moved(frame[:10], 4) + frame[10:22] + struct.pack("!HH", 0x8100, vlan) + frame[22:]
        try:
            lower.send(tagged)
        except OSError:
            pass  # a full queue drops, as a device's would


def outward():
    while True:
        try:
            frame, told, _, _ = lower.recvmsg(66000, 64)
        except BlockingIOError:
            return
        for level, kind, data in told:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data)
                if status & TP_STATUS_VLAN_VALID and tci & 0xFFF == vlan:
                    try:
                        os.write(tap, frame)
                    except OSError:
                        pass


selector = selectors.DefaultSelector()
selector.register(tap, selectors.EVENT_READ, inward)
selector.register(lower, selectors.EVENT_READ, outward)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        key.data()
