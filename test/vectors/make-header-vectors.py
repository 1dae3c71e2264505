#!/usr/bin/python3
"""Packet headers made by scapy, as test vectors for src/packet.

    /usr/bin/python3 test/vectors/make-header-vectors.py > test/vectors/headers.json

Debian packages: python3-scapy. Output is the same on every run.
"""
import json
import sys

from scapy import VERSION
from scapy.all import (GRE, ICMP, IP, TCP, UDP, IPerror, IPOption_RR, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                       PadN, Raw, TCPerror)


def vector(it, packet, **fields):
    return {"it": it, "hex": bytes(packet).hex(), **fields}


C, S = "10.1.1.1", "203.0.113.10"
vectors = {
    "madeBy": "scapy " + VERSION,
    "ipv4": [
        vector("udp datagram", IP(src=C, dst=S, id=0x1234, ttl=57, tos=0xB8) / UDP(sport=1, dport=2) / b"abc",
               source=C, destination=S, protocol=17, headerBytes=20, totalBytes=31, ttl=57, trafficClass=0xB8,
               identification=0x1234, hasDontFragment=False, isFragment=False, fragmentOffset=0),
        vector("record route option, DF", IP(src=C, dst=S, flags="DF", options=[IPOption_RR(routers=["0.0.0.0"] * 9)])
               / TCP(sport=1025, dport=443, flags="S"),
               source=C, destination=S, protocol=6, headerBytes=60, totalBytes=80, ttl=64, trafficClass=0,
               identification=1, hasDontFragment=True, isFragment=False, fragmentOffset=0),
        vector("first fragment", IP(src=C, dst=S, flags="MF") / UDP(sport=1, dport=2, len=1000) / (b"x" * 16),
               source=C, destination=S, protocol=17, headerBytes=20, totalBytes=44, ttl=64, trafficClass=0,
               identification=1, hasDontFragment=False, isFragment=True, fragmentOffset=0),
        vector("last fragment", IP(src=C, dst=S, frag=185, proto=17) / (b"y" * 8),
               source=C, destination=S, protocol=17, headerBytes=20, totalBytes=28, ttl=64, trafficClass=0,
               identification=1, hasDontFragment=False, isFragment=True, fragmentOffset=1480),
    ],
    "ipv6": [
        vector("tcp", IPv6(src="2001:db8::1", dst="2001:db8::2", tc=0x2E, hlim=61) / TCP(sport=5, dport=6),
               protocol=6, headerBytes=40, totalBytes=60, trafficClass=0x2E, hopLimit=61, isFragment=False,
               fragmentOffset=0),
        vector("hop-by-hop, destination options, udp",
               IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
               / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)]) / UDP(sport=5, dport=6) / b"z",
               protocol=17, headerBytes=64, totalBytes=73, trafficClass=0, hopLimit=64, isFragment=False,
               fragmentOffset=0),
        vector("later fragment", IPv6(src="2001:db8::1", dst="2001:db8::2")
               / IPv6ExtHdrFragment(nh=17, offset=181, m=1, id=9) / Raw(b"q" * 16),
               protocol=17, headerBytes=48, totalBytes=64, trafficClass=0, hopLimit=64, isFragment=True,
               fragmentOffset=1448),
        vector("atomic fragment", IPv6(src="2001:db8::1", dst="2001:db8::2")
               / IPv6ExtHdrFragment(nh=17, offset=0, m=0, id=9) / UDP(sport=5, dport=6),
               protocol=17, headerBytes=48, totalBytes=56, trafficClass=0, hopLimit=64, isFragment=False,
               fragmentOffset=0),
    ],
    # The whole IPv4 packet, so that checksums over the pseudo header can be checked.
    "udp": [
        vector("with checksum", IP(src=C, dst=S) / UDP(sport=40000, dport=4500) / b"odd", sourcePort=40000,
               destinationPort=4500, payloadBytes=3),
        vector("without checksum", IP(src=C, dst=S) / UDP(sport=4500, dport=4500, chksum=0) / b"\xff", sourcePort=4500,
               destinationPort=4500, payloadBytes=1),
    ],
    "tcp": [
        vector("syn with options", IP(src=C, dst=S) / TCP(sport=51000, dport=80, flags="S", seq=0xFEDCBA98,
               window=64240, options=[("MSS", 1360), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None),
                                      ("WScale", 7)]),
               sourcePort=51000, destinationPort=80, sequence=0xFEDCBA98, acknowledgment=0, headerBytes=40, flags=0x02,
               window=64240),
        vector("ack with data", IP(src=C, dst=S) / TCP(sport=51000, dport=80, flags="PA", seq=7, ack=0x80000001,
               window=501) / b"GET / HTTP/1.1\r\n\r\n.",
               sourcePort=51000, destinationPort=80, sequence=7, acknowledgment=0x80000001, headerBytes=20, flags=0x18,
               window=501),
        vector("plain reset", IP(src=S, dst=C) / TCP(sport=80, dport=51000, flags="R", seq=9, window=0),
               sourcePort=80, destinationPort=51000, sequence=9, acknowledgment=0, headerBytes=20, flags=0x04, window=0),
    ],
    "icmp": [
        vector("echo request", ICMP(type=8, code=0, id=77, seq=3) / b"ping", type=8, code=0, mtu=0, hasQuote=False),
        vector("fragmentation needed", ICMP(type=3, code=4, nexthopmtu=1400)
               / IPerror(src=S, dst=C, proto=6, len=1500, id=4, flags="DF") / TCPerror(sport=80, dport=51000),
               type=3, code=4, mtu=1400, hasQuote=True),
    ],
    "gre": [
        vector("keyed", GRE(key_present=1, key=0xCAFEBABE, proto=0x0800) / b"payload",
               protocol=0x0800, hasKey=True, key=0xCAFEBABE, hasSequence=False, sequence=0, headerBytes=8),
        vector("keyed and numbered", GRE(key_present=1, key=7, seqnum_present=1, seqence_number=0xFFFFFFFE, proto=0x0800)
               / b"payload",
               protocol=0x0800, hasKey=True, key=7, hasSequence=True, sequence=0xFFFFFFFE, headerBytes=12),
        vector("bare", GRE(proto=0x86DD) / b"payload",
               protocol=0x86DD, hasKey=False, key=0, hasSequence=False, sequence=0, headerBytes=4),
        vector("checksum, key and sequence number",
               GRE(chksum_present=1, key_present=1, key=5, seqnum_present=1, seqence_number=6, proto=0x88B5) / b"odd",
               protocol=0x88B5, hasKey=True, key=5, hasSequence=True, sequence=6, headerBytes=16),
    ],
}
json.dump(vectors, sys.stdout, indent=1)
print()
