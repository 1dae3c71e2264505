#!/usr/bin/python3
"""Packets and their fragments, errors and checksums made by scapy, as test vectors for src/packet.

    /usr/bin/python3 test/vectors/make-packet-vectors.py > test/vectors/packets.json

Debian packages: python3-scapy. Output is the same on every run.
"""
import json
import sys

from scapy import VERSION
from scapy.all import (ESP, ICMP, IP, TCP, UDP, ICMPv6DestUnreach, ICMPv6EchoRequest,
                       ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded,
                       IPOption_NOP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw, fragment,
                       fragment6)

A4, B4, N4 = "192.0.2.101", "192.0.2.10", "198.51.100.7"
A6, B6, N6 = "2001:db8::101", "2001:db8:1::10", "2001:db8:9::7"


def text(packet):
    return bytes(packet).hex()


def payload(size):
    return bytes((at * 7 + at // 251) & 255 for at in range(size))


def fragments(it, whole, parts, mtu, identification):
    return {"it": it, "mtu": mtu, "identification": identification, "whole": text(whole), "parts": [text(part) for part in parts]}


def cut4(it, whole, mtu, data):
    return fragments(it, whole, fragment(whole, fragsize=data), mtu, whole.id)


def cut6(it, headers, upper, mtu, identification):
    parts = fragment6(headers / IPv6ExtHdrFragment(id=identification) / upper, mtu)
    return fragments(it, headers / upper, parts, mtu, identification)


esp = lambda size: ESP(spi=0xC0FFEE01, seq=77, data=payload(size))
udp4500 = lambda size: UDP(sport=61000, dport=4500) / Raw(bytes(esp(size)))


def quote(it, packet, **fields):
    return {"it": it, "hex": text(packet), **fields}


def icmpv6(it, message, **fields):
    packet = IPv6(src=A6, dst=B6) / message
    return {"it": it, "source": A6, "destination": B6, "hex": bytes(packet)[40:].hex(), **fields}


def moved(it, upper, before, after):
    """The same upper layer between two pairs of addresses: what NAT in transport mode makes of a checksum."""
    ip = lambda pair: (IPv6 if ":" in pair[0] else IP)(src=pair[0], dst=pair[1])
    head = 40 if ":" in before[0] else 20
    both = [bytes(ip(pair) / upper)[head:].hex() for pair in (before, after)]
    protocol = bytes(ip(before) / upper)[6 if head == 40 else 9]
    return {"it": it, "protocol": protocol, "from": before, "to": after, "before": both[0], "after": both[1]}


def syn(it, mss, clamped, options, flags="S", family=4):
    ip = IP(src=A4, dst=B4) if family == 4 else IPv6(src=A6, dst=B6)
    head = 20 if family == 4 else 40
    made = [bytes(ip / TCP(sport=51000, dport=80, flags=flags, seq=9, options=options(value)))[head:].hex()
            for value in (mss, clamped)]
    return {"it": it, "maximum": clamped, "before": made[0], "after": made[1]}


def zero_sum(ip):
    """A UDP datagram whose checksum would be 0, so that 0xffff is sent."""
    for word in range(0x10000):
        packet = ip / UDP(sport=4500, dport=4500) / word.to_bytes(2, "big")
        raw = bytes(packet)
        if raw[-4:-2] == b"\xff\xff":
            return raw
    raise SystemExit("no such datagram")


zero4, zero6 = zero_sum(IP(src=A4, dst=B4)), zero_sum(IPv6(src=A6, dst=B6))
hbh = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
dst = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
routing = IPv6ExtHdrRouting(type=253, segleft=0, addresses=[])
tcp4 = IP(src=B4, dst=A4, id=4, flags="DF") / TCP(sport=80, dport=51000, seq=5) / payload(100)

vectors = {
    "madeBy": "scapy " + VERSION,
    "fragments": [
        cut4("IPv4, ESP in UDP, 3 fragments", IP(src=A4, dst=B4, id=0x4711, ttl=61, tos=0xB8) / udp4500(3000), 1500, 1480),
        cut4("IPv4, native ESP, just above the MTU", IP(src=A4, dst=B4, id=1) / esp(1473), 1500, 1480),
        cut4("IPv4, links of 576 bytes", IP(src=A4, dst=B4, id=65535) / esp(1400), 576, 552),
        cut6("IPv6, native ESP, 3 fragments", IPv6(src=A6, dst=B6, tc=0x2E, fl=0x12345, hlim=60), esp(3000), 1500, 0xDEADBEEF),
        cut6("IPv6, ESP in UDP, minimum MTU", IPv6(src=A6, dst=B6), udp4500(2500), 1280, 7),
    ],
    # fragment6 wants to be told where the fragment header goes; here are the places to find.
    "chain": {
        "whole": text(IPv6(src=A6, dst=B6) / hbh / dst / routing / dst / UDP(sport=5, dport=4500) / payload(40)),
        "perFragmentBytes": 40 + len(hbh) + len(dst) + len(routing),
        "upperAt": 40 + len(hbh) + 2 * len(dst) + len(routing),
    },
    "icmpv6": [
        icmpv6("packet too big", ICMPv6PacketTooBig(mtu=1400) / IPv6(src=B6, dst=A6) / esp(64),
               type=2, code=0, mtu=1400, hasQuote=True),
        icmpv6("port unreachable", ICMPv6DestUnreach(code=4) / IPv6(src=B6, dst=A6) / UDP(sport=9, dport=10) / b"abc",
               type=1, code=4, mtu=0, hasQuote=True),
        icmpv6("time exceeded", ICMPv6TimeExceeded(code=0) / IPv6(src=B6, dst=A6) / TCP(sport=80, dport=51000),
               type=3, code=0, mtu=0, hasQuote=True),
        icmpv6("parameter problem", ICMPv6ParamProblem(code=1, ptr=40) / IPv6(src=B6, dst=A6) / TCP(sport=80, dport=51000),
               type=4, code=1, mtu=0, hasQuote=True),
        icmpv6("echo request, odd length", ICMPv6EchoRequest(id=77, seq=3, data=b"ping!"), type=128, code=0, mtu=0, hasQuote=False),
    ],
    "quotes": [
        quote("TCP over IPv4", tcp4, source=B4, destination=A4, protocol=6, sourcePort=80, destinationPort=51000, upperAt=20),
        quote("UDP over IPv4 with options", IP(src=B4, dst=A4, options=[IPOption_NOP()] * 8) / UDP(sport=7, dport=8) / b"abc",
              source=B4, destination=A4, protocol=17, sourcePort=7, destinationPort=8, upperAt=28),
        quote("a later IPv4 fragment", IP(src=B4, dst=A4, frag=185, proto=17) / payload(40),
              source=B4, destination=A4, protocol=17, sourcePort=0, destinationPort=0, isLaterFragment=True, upperAt=20),
        quote("native ESP over IPv4", IP(src=B4, dst=A4) / esp(40), source=B4, destination=A4, protocol=50,
              sourcePort=0, destinationPort=0, upperAt=20),
        quote("TCP over IPv6", IPv6(src=B6, dst=A6) / TCP(sport=80, dport=51000), source=B6, destination=A6, protocol=6,
              sourcePort=80, destinationPort=51000, upperAt=40),
        quote("UDP over IPv6 behind extension headers", IPv6(src=B6, dst=A6) / hbh / dst / UDP(sport=7, dport=8) / b"abc",
              source=B6, destination=A6, protocol=17, sourcePort=7, destinationPort=8, upperAt=64),
        quote("a first IPv6 fragment", IPv6(src=B6, dst=A6) / IPv6ExtHdrFragment(nh=17, m=1, id=9) / UDP(sport=7, dport=8, len=2000),
              source=B6, destination=A6, protocol=17, sourcePort=7, destinationPort=8, upperAt=48),
        quote("a later IPv6 fragment", IPv6(src=B6, dst=A6) / IPv6ExtHdrFragment(nh=17, offset=181, m=1, id=9) / Raw(payload(16)),
              source=B6, destination=A6, protocol=17, sourcePort=0, destinationPort=0, isLaterFragment=True, upperAt=48),
        quote("echo request over IPv4", IP(src=B4, dst=A4) / ICMP(id=5, seq=6) / b"ping", source=B4, destination=A4, protocol=1,
              sourcePort=0, destinationPort=0, upperAt=20),
    ],
    "moved": [
        moved("TCP over IPv4", TCP(sport=51000, dport=80, flags="PA") / b"GET / HTTP/1.1\r\n\r\n.", [A4, B4], [N4, B4]),
        moved("UDP over IPv4", UDP(sport=5353, dport=53) / b"odd", [A4, B4], [N4, B4]),
        moved("UDP over IPv4 without checksum", UDP(sport=5353, dport=53, chksum=0) / b"odd", [A4, B4], [N4, B4]),
        moved("ICMP over IPv4", ICMP(id=77, seq=3) / b"ping", [A4, B4], [N4, B4]),
        moved("TCP over IPv6", TCP(sport=51000, dport=80, flags="PA") / b"GET / HTTP/1.1\r\n\r\n.", [A6, B6], [N6, B6]),
        moved("UDP over IPv6", UDP(sport=5353, dport=53) / b"odd", [A6, B6], [N6, B6]),
        moved("ICMPv6", ICMPv6EchoRequest(id=77, seq=3, data=b"ping!"), [A6, B6], [N6, B6]),
    ],
    "zeroSum": [
        {"it": "over IPv4", "source": A4, "destination": B4, "hex": zero4[20:].hex()},
        {"it": "over IPv6", "source": A6, "destination": B6, "hex": zero6[40:].hex()},
    ],
    "mss": [
        syn("SYN", 1460, 1320, lambda mss: [("MSS", mss), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]),
        syn("SYN-ACK", 1460, 536, lambda mss: [("MSS", mss)], flags="SA"),
        syn("MSS at an odd place", 1460, 1219, lambda mss: [("NOP", None), ("MSS", mss), ("NOP", None), ("NOP", None), ("NOP", None)]),
        syn("MSS as the last option", 8960, 1300, lambda mss: [("SAckOK", b""), ("NOP", None), ("NOP", None), ("MSS", mss)]),
        syn("over IPv6", 1440, 1220, lambda mss: [("MSS", mss), ("SAckOK", b""), ("NOP", None), ("NOP", None)], family=6),
    ],
}
json.dump(vectors, sys.stdout, indent=1)
print()
