#!/usr/bin/python3
"""ESP packets made by scapy (with python-cryptography), as test vectors for src/ipsec.

    /usr/bin/python3 test/vectors/make-esp-vectors.py > test/vectors/esp-scapy.json

Debian packages: python3-scapy python3-cryptography. Keys and IVs are fixed: output is the same on every run.
With a JSON array on standard input and the argument `open`, it does the reverse: decrypts ESP packets that we
sealed and prints what scapy found inside (test/interop/esp-scapy.test.ts).
"""
import hashlib
import hmac
import json
import struct
import sys

from scapy import VERSION
from scapy.all import ICMP, IP, TCP, UDP, Raw
from scapy.layers.ipsec import ESP, SecurityAssociation

OUTER = IP(src="192.0.2.101", dst="192.0.2.10")
CLIENT, DVIPA = "10.1.1.1", "203.0.113.10"


def material(label, size):
    """Bytes that are arbitrary, but the same on every run."""
    return hashlib.shake_256(label.encode()).digest(size)


# name -> (scapy's names, length of key material, salt included)
SUITES = {
    "aes128gcm16": ("AES-GCM", 20, None, 0),
    "aes192gcm16": ("AES-GCM", 28, None, 0),
    "aes256gcm16": ("AES-GCM", 36, None, 0),
    "aes128-sha256": ("AES-CBC", 16, "SHA2-256-128", 32),
    "aes256-sha256": ("AES-CBC", 32, "SHA2-256-128", 32),
}
TRANSFORMS = {"AES-GCM": 20, "AES-CBC": 12, "SHA2-256-128": 12}


def association(suite, spi, encr_key, integ_key, esn, udp):
    crypt, _, auth, _ = SUITES[suite]
    return SecurityAssociation(
        ESP, spi=spi, crypt_algo=crypt, crypt_key=encr_key, auth_algo=auth, auth_key=integ_key or None,
        tunnel_header=OUTER, nat_t_header=UDP(sport=4500, dport=4500) if udp else None, esn_en=esn)


def esn_icv(integ_key, esp, sequence):
    """ICV of an ESP packet with ESN and HMAC (RFC 4303 section 2.2.1); scapy 2.5 leaves the high half out there."""
    covered = esp[:-16] + struct.pack("!L", sequence >> 32)
    return hmac.new(integ_key, covered, hashlib.sha256).digest()[:16]


INNER = {
    "tcp syn": IP(src=CLIENT, dst=DVIPA, id=7) / TCP(sport=51000, dport=80, flags="S", seq=1, options=[("MSS", 1360)]),
    "tcp ack, 1300 bytes of data": IP(src=CLIENT, dst=DVIPA, id=8) / TCP(sport=51000, dport=80, flags="A", seq=2, ack=3)
                                   / Raw(material("data", 1300)),
    "udp, empty": IP(src=CLIENT, dst=DVIPA, id=9) / UDP(sport=5353, dport=53),
    "icmp echo": IP(src=CLIENT, dst=DVIPA, id=10) / ICMP(type=8, code=0, id=3, seq=4) / b"ping",
    "tcp behind 40 bytes of options": IP(src=CLIENT, dst=DVIPA, id=11, options=[b"\x94\x04\0\0" * 10])
                                      / TCP(sport=1234, dport=443, flags="FA"),
    "later fragment": IP(src=CLIENT, dst=DVIPA, id=12, frag=100, proto=6) / (b"f" * 33),
    "esp inside": IP(src=CLIENT, dst=DVIPA, id=13, proto=50) / (b"e" * 40),
}


def make():
    vectors = []
    for suite, (crypt, encr_len, auth, integ_len) in SUITES.items():
        for esn, sequence in ((False, 0x01020304), (True, 0x1_0000_0005)):
            for number, (it, inner) in enumerate(INNER.items()):
                spi = 0xC0000000 + 256 * number + encr_len
                encr_key, integ_key = material("encr " + suite, encr_len), material("integ " + suite, integ_len)
                iv = material(f"iv {suite} {it} {sequence}", 8 if crypt == "AES-GCM" else 16)
                udp = number % 2 == 0
                sa = association(suite, spi, encr_key, integ_key, esn, udp)
                packet = sa.encrypt(inner, seq_num=sequence & 0xFFFFFFFF, iv=iv, esn_en=esn, esn=sequence >> 32)
                packet = IP(bytes(packet))
                esp = bytes(packet[UDP].payload) if udp else bytes(packet.payload)
                if esn and auth:
                    icv = esn_icv(integ_key, esp, sequence)
                    esp, packet = esp[:-16] + icv, bytes(packet)[:-16] + icv
                upper = inner.payload
                has_ports = isinstance(upper, (TCP, UDP))
                vectors.append({
                    "it": f"{suite}{', ESN' if esn else ''}: {it}", "spi": spi, "hasEsn": esn,
                    "sequence": str(sequence), "encryption": TRANSFORMS[crypt], "encryptionKey": encr_key.hex(),
                    "integrity": TRANSFORMS[auth] if auth else 0, "integrityKey": integ_key.hex(), "iv": iv.hex(),
                    "datagram": bytes(packet).hex(), "esp": esp.hex(), "inner": bytes(inner).hex(),
                    "protocol": IP(bytes(inner)).proto,
                    "sourcePort": upper.sport if has_ports else 0,
                    "destinationPort": upper.dport if has_ports else 0x0800 if isinstance(upper, ICMP) else 0,
                    "tcpFlags": int(upper.flags) if isinstance(upper, TCP) else 0,
                    "isFragment": inner.frag > 0,
                })
    json.dump({"madeBy": "scapy " + VERSION, "vectors": vectors}, sys.stdout, indent=1)
    print()


def open_all():
    opened = []
    for item in json.load(sys.stdin):
        sa = association(item["suite"], item["spi"], bytes.fromhex(item["encryptionKey"]),
                         bytes.fromhex(item["integrityKey"]), item["hasEsn"], False)
        esp, integ_key, sequence = bytes.fromhex(item["esp"]), bytes.fromhex(item["integrityKey"]), int(item["sequence"])
        if item["hasEsn"] and integ_key:  # checked here, then replaced by what scapy expects
            if esn_icv(integ_key, esp, sequence) != esp[-16:]:
                opened.append("wrong ICV")
                continue
            esp = esp[:-16] + hmac.new(integ_key, esp[:-16], hashlib.sha256).digest()[:16]
        packet = IP(bytes(OUTER / ESP(esp)))
        try:
            inner = sa.decrypt(packet, verify=True, esn_en=item["hasEsn"], esn=sequence >> 32)
            opened.append(bytes(inner).hex())
        except Exception as error:  # the test compares, and prints this
            opened.append(f"{type(error).__name__}: {error}")
    json.dump(opened, sys.stdout)
    print()


if sys.argv[1:] == ["open"]:
    open_all()
else:
    make()
