#!/usr/bin/python3
"""ESP packets made by scapy (with python-cryptography), as test vectors for src/ipsec.

    /usr/bin/python3 test/vectors/make-esp-vectors.py > test/vectors/esp-scapy.json
    /usr/bin/python3 test/vectors/make-esp-vectors.py modes > test/vectors/esp-scapy-modes.json

The first are tunnels of IPv4; `modes` are tunnels of IPv6, and transport mode over both families, for every suite.
Debian packages: python3-scapy python3-cryptography. Keys and IVs are fixed: output is the same on every run.
With a JSON array on standard input and the argument `open`, it does the reverse: decrypts ESP packets that we
sealed and prints what scapy found inside (test/interop/esp-scapy.test.ts).

What scapy 2.5 cannot do is done here with python-cryptography, around scapy's packets: the high half of ESN under an
integrity algorithm, AES-GCM with a short ICV, AES-XCBC and AES-GMAC.
"""
import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from scapy import VERSION
from scapy.all import ICMP, IP, TCP, UDP, ICMPv6DestUnreach, IPv6, IPv6ExtHdrDestOpt, PadN, Raw
from scapy.layers.ipsec import ESP, SecurityAssociation

OUTER = IP(src="192.0.2.101", dst="192.0.2.10")
CLIENT, DVIPA = "10.1.1.1", "203.0.113.10"
CLIENT6, DVIPA6 = "2001:db8:a::1", "2001:db8:113::10"


def material(label, size):
    """Bytes that are arbitrary, but the same on every run."""
    return hashlib.shake_256(label.encode()).digest(size)


# name -> (encryption, length of its key material with salt, ICV of an AEAD, integrity, length of its key)
SUITES = {
    "aes128gcm16": ("AES-GCM", 20, 16, None, 0),
    "aes192gcm16": ("AES-GCM", 28, 16, None, 0),
    "aes256gcm16": ("AES-GCM", 36, 16, None, 0),
    "aes128-sha256": ("AES-CBC", 16, 0, "SHA2-256-128", 32),
    "aes256-sha256": ("AES-CBC", 32, 0, "SHA2-256-128", 32),
    "aes128gcm8": ("AES-GCM", 20, 8, None, 0),
    "aes256gcm12": ("AES-GCM", 36, 12, None, 0),
    "aes128ccm8": ("AES-CCM", 19, 8, None, 0),
    "aes192ccm12": ("AES-CCM", 27, 12, None, 0),
    "aes256ccm16": ("AES-CCM", 35, 16, None, 0),
    "chacha20poly1305": ("CHACHA20-POLY1305", 36, 16, None, 0),
    "aes128gmac": ("AES-GMAC", 20, 16, None, 0),
    "aes256gmac": ("AES-GMAC", 36, 16, None, 0),
    "aes128ctr-sha1": ("AES-CTR", 20, 0, "HMAC-SHA1-96", 20),
    "aes192ctr-sha256": ("AES-CTR", 28, 0, "SHA2-256-128", 32),
    "aes256ctr-aescmac": ("AES-CTR", 36, 0, "AES-CMAC-96", 16),
    "aes128-sha1": ("AES-CBC", 16, 0, "HMAC-SHA1-96", 20),
    "aes192-sha384": ("AES-CBC", 24, 0, "SHA2-384-192", 48),
    "aes256-sha512": ("AES-CBC", 32, 0, "SHA2-512-256", 64),
    "aes128-aesxcbc": ("AES-CBC", 16, 0, "AES-XCBC-96", 16),
    "aes128-aescmac": ("AES-CBC", 16, 0, "AES-CMAC-96", 16),
    "null-sha1": ("NULL", 0, 0, "HMAC-SHA1-96", 20),
    "null-sha512": ("NULL", 0, 0, "SHA2-512-256", 64),
}
# Those of the first five lines come with every inner packet, the others with these.
WHOLE = 5
FEW = ("tcp syn", "tcp ack, 1300 bytes of data", "udp, empty", "tcp behind 40 bytes of options")
TRANSFORMS = {"NULL": 11, "AES-CBC": 12, "AES-CTR": 13, "AES-GMAC": 21, "CHACHA20-POLY1305": 28, "HMAC-SHA1-96": 2,
              "AES-XCBC-96": 5, "AES-CMAC-96": 8, "SHA2-256-128": 12, "SHA2-384-192": 13, "SHA2-512-256": 14}
BY_ICV = {"AES-CCM": {8: 14, 12: 15, 16: 16}, "AES-GCM": {8: 18, 12: 19, 16: 20}}
IV_LENGTHS = {"NULL": 0, "AES-CBC": 16}
AUTH_ICV = {"HMAC-SHA1-96": 12, "SHA2-256-128": 16, "SHA2-384-192": 24, "SHA2-512-256": 32, "AES-XCBC-96": 12,
            "AES-CMAC-96": 12}
HASHES = {"HMAC-SHA1-96": "sha1", "SHA2-256-128": "sha256", "SHA2-384-192": "sha384", "SHA2-512-256": "sha512"}


def association(suite, spi, encr_key, integ_key, esn, udp, tunnel=OUTER):
    crypt, _, icv, auth, _ = SUITES[suite]
    return SecurityAssociation(
        ESP, spi=spi, crypt_algo="NULL" if crypt == "AES-GMAC" else crypt,
        crypt_key=None if crypt in ("AES-GMAC", "NULL") else encr_key,
        crypt_icv_size=icv if crypt == "AES-CCM" else None,
        auth_algo=None if auth == "AES-XCBC-96" else auth, auth_key=integ_key or None,
        tunnel_header=tunnel, nat_t_header=UDP(sport=4500, dport=4500) if udp else None, esn_en=esn)


def xcbc(key, data):
    """AES-XCBC-MAC (RFC 3566 section 4), block by block."""
    def aes(with_key, block):
        return Cipher(algorithms.AES(with_key), modes.ECB()).encryptor().update(block)

    def xor(a, b):
        return bytes(x ^ y for x, y in zip(a, b))

    k1, k2, k3 = (aes(key, bytes([n]) * 16) for n in (1, 2, 3))
    blocks = [data[at:at + 16] for at in range(0, len(data), 16)] or [b""]
    state = bytes(16)
    for block in blocks[:-1]:
        state = aes(k1, xor(state, block))
    last, k = (blocks[-1], k2) if len(blocks[-1]) == 16 else (blocks[-1] + b"\x80" + bytes(15 - len(blocks[-1])), k3)
    return aes(k1, xor(xor(state, last), k))


def integrity(auth, key, data):
    if auth == "AES-XCBC-96":
        mac = xcbc(key, data)
    elif auth == "AES-CMAC-96":
        cmac = CMAC(algorithms.AES(key))
        cmac.update(data)
        mac = cmac.finalize()
    else:
        mac = hmac.new(key, data, HASHES[auth]).digest()
    return mac[:AUTH_ICV[auth]]


def high_half(esn, sequence):
    """What the ICV covers besides the packet (RFC 4303 section 2.2.1)."""
    return struct.pack("!L", sequence >> 32) if esn else b""


def gmac_icv(key, header_and_text, esn, sequence):
    """RFC 4543 section 3.3: all is additional data, and the nonce is salt and IV."""
    spi, low, iv, text = header_and_text[:4], header_and_text[4:8], header_and_text[8:16], header_and_text[16:]
    return AESGCM(key[:-4]).encrypt(key[-4:] + iv, b"", spi + high_half(esn, sequence) + low + iv + text)


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


def seal(suite, spi, encr_key, integ_key, esn, sequence, iv, inner, tunnel=OUTER):
    """An ESP packet without anything around it; `tunnel` None: transport mode."""
    crypt, _, icv, auth, _ = SUITES[suite]
    sa = association(suite, spi, encr_key, integ_key, esn, False, tunnel)
    scapy_iv = b"" if crypt == "AES-GMAC" else iv
    packet = sa.encrypt(inner, seq_num=sequence & 0xFFFFFFFF, iv=scapy_iv, esn_en=esn, esn=sequence >> 32)
    outer = IPv6 if isinstance(packet, IPv6) else IP
    esp = bytes(outer(bytes(packet)).payload)
    if crypt == "AES-GMAC":
        esp = esp[:8] + iv + esp[8:]
        return esp + gmac_icv(encr_key, esp, esn, sequence)
    if crypt == "AES-GCM":
        return esp[:len(esp) - 16 + icv]
    if auth == "AES-XCBC-96":
        return esp + integrity(auth, integ_key, esp + high_half(esn, sequence))
    if auth and esn:
        covered = esp[:-AUTH_ICV[auth]]
        return covered + integrity(auth, integ_key, covered + high_half(esn, sequence))
    return esp


def make():
    vectors = []
    for at, (suite, (crypt, encr_len, icv, auth, integ_len)) in enumerate(SUITES.items()):
        for esn, sequence in ((False, 0x01020304), (True, 0x1_0000_0005)):
            for number, (it, inner) in enumerate(INNER.items()):
                if at >= WHOLE and (it not in FEW or esn and "data" in it):
                    continue
                spi = 0xC0000000 + 256 * number + encr_len
                encr_key, integ_key = material("encr " + suite, encr_len), material("integ " + suite, integ_len)
                iv = material(f"iv {suite} {it} {sequence}", IV_LENGTHS.get(crypt, 8))
                esp = seal(suite, spi, encr_key, integ_key, esn, sequence, iv, inner)
                upper = inner.payload
                has_ports = isinstance(upper, (TCP, UDP))
                vectors.append({
                    "it": f"{suite}{', ESN' if esn else ''}: {it}", "spi": spi, "hasEsn": esn,
                    "sequence": str(sequence),
                    "encryption": BY_ICV[crypt][icv] if crypt in BY_ICV else TRANSFORMS[crypt],
                    "encryptionKey": encr_key.hex(),
                    "integrity": TRANSFORMS[auth] if auth else 0, "integrityKey": integ_key.hex(), "iv": iv.hex(),
                    "esp": esp.hex(), "inner": bytes(inner).hex(),
                    "protocol": IP(bytes(inner)).proto,
                    "sourcePort": upper.sport if has_ports else getattr(upper, "id", 0),
                    "destinationPort": upper.dport if has_ports else 0x0800 if isinstance(upper, ICMP) else 0,
                    "tcpFlags": int(upper.flags) if isinstance(upper, TCP) else 0,
                    "isFragment": inner.frag > 0,
                })
    json.dump({"madeBy": "scapy " + VERSION, "vectors": vectors}, sys.stdout, indent=1)
    print()


QUOTED = IPv6(src=DVIPA6, dst=CLIENT6) / TCP(sport=80, dport=51000, flags="SA", seq=9, ack=2)
# name -> (is it in a tunnel?, inner packet, what a peek must see: protocol, ports, flags of TCP)
MODES = {
    "tunnel, IPv6: tcp syn": (
        True, IPv6(src=CLIENT6, dst=DVIPA6) / TCP(sport=51000, dport=80, flags="S", options=[("MSS", 1360)]), 6, 51000, 80, 2),
    "tunnel, IPv6: udp behind 64 bytes of destination options": (
        True, IPv6(src=CLIENT6, dst=DVIPA6) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(60))]) / UDP(sport=5353, dport=53)
        / b"question", 17, 5353, 53, 0),
    "tunnel, IPv6: icmp error": (
        True, IPv6(src=CLIENT6, dst=DVIPA6) / ICMPv6DestUnreach(code=4) / bytes(QUOTED), 58, 0, 0x0104, 0),
    "transport, IPv4: tcp ack, 1300 bytes of data": (
        False, IP(src=CLIENT, dst=DVIPA, id=8) / TCP(sport=51000, dport=80, flags="A", seq=2, ack=3)
        / Raw(material("data", 1300)), 6, 51000, 80, 0x10),
    "transport, IPv4: udp, empty": (False, IP(src=CLIENT, dst=DVIPA, id=9) / UDP(sport=5353, dport=53), 17, 5353, 53, 0),
    "transport, IPv6: tcp syn": (
        False, IPv6(src=CLIENT6, dst=DVIPA6) / TCP(sport=51000, dport=80, flags="S"), 6, 51000, 80, 2),
}


def make_modes():
    vectors = []
    for at, (suite, (crypt, encr_len, icv, auth, integ_len)) in enumerate(SUITES.items()):
        for number, (it, (is_tunnel, inner, protocol, sport, dport, flags)) in enumerate(MODES.items()):
            esn = (at + number) % 4 == 3
            sequence = 0x1_0000_0005 if esn else 0x01020304
            spi = 0xC1000000 + 256 * number + at
            encr_key, integ_key = material("encr " + suite, encr_len), material("integ " + suite, integ_len)
            iv = material(f"iv {suite} {it}", IV_LENGTHS.get(crypt, 8))
            esp = seal(suite, spi, encr_key, integ_key, esn, sequence, iv, inner, OUTER if is_tunnel else None)
            vectors.append({
                "it": f"{suite}{', ESN' if esn else ''}, {it}", "spi": spi, "hasEsn": esn, "sequence": str(sequence),
                "mode": "tunnel" if is_tunnel else "transport",
                "encryption": BY_ICV[crypt][icv] if crypt in BY_ICV else TRANSFORMS[crypt],
                "encryptionKey": encr_key.hex(),
                "integrity": TRANSFORMS[auth] if auth else 0, "integrityKey": integ_key.hex(), "iv": iv.hex(),
                "esp": esp.hex(), "inner": bytes(inner).hex(), "protocol": protocol, "sourcePort": sport,
                "destinationPort": dport, "tcpFlags": flags, "isFragment": False,
            })
    json.dump({"madeBy": "scapy " + VERSION, "vectors": vectors}, sys.stdout, indent=1)
    print()


def for_scapy(suite, encr_key, integ_key, esn, sequence, esp):
    """Checks what scapy cannot, and returns what it can open; None: the ICV is wrong."""
    crypt, _, icv, auth, _ = SUITES[suite]
    if crypt == "AES-GMAC":
        return esp[:8] + esp[16:-16] if gmac_icv(encr_key, esp[:-16], esn, sequence) == esp[-16:] else None
    if crypt == "AES-GCM" and icv < 16:
        # The whole tag follows from the plaintext, which in counter mode can be had without one.
        spi, low, iv, text = esp[:4], esp[4:8], esp[8:16], esp[16:-icv]
        nonce, aad = encr_key[-4:] + iv, spi + high_half(esn, sequence) + low
        plain = Cipher(algorithms.AES(encr_key[:-4]), modes.CTR(nonce + b"\0\0\0\2")).decryptor().update(text)
        whole = AESGCM(encr_key[:-4]).encrypt(nonce, plain, aad)
        return esp[:-icv] + whole[-16:] if whole[-16:][:icv] == esp[-icv:] else None
    if auth and (esn or auth == "AES-XCBC-96"):
        covered = esp[:-AUTH_ICV[auth]]
        if integrity(auth, integ_key, covered + high_half(esn, sequence)) != esp[len(covered):]:
            return None
        return covered if auth == "AES-XCBC-96" else covered + integrity(auth, integ_key, covered)
    return esp


def open_all():
    opened = []
    for item in json.load(sys.stdin):
        encr_key, integ_key = bytes.fromhex(item["encryptionKey"]), bytes.fromhex(item["integrityKey"])
        suite, esn, sequence = item["suite"], item["hasEsn"], int(item["sequence"])
        esp = for_scapy(suite, encr_key, integ_key, esn, sequence, bytes.fromhex(item["esp"]))
        if esp is None:
            opened.append("wrong ICV")
            continue
        sa = association(suite, item["spi"], encr_key, integ_key, esn, False)
        try:
            inner = sa.decrypt(IP(bytes(OUTER / ESP(esp))), verify=True, esn_en=esn, esn=sequence >> 32)
            opened.append(bytes(inner).hex())
        except Exception as error:  # the test compares, and prints this
            opened.append(f"{type(error).__name__}: {error}")
    json.dump(opened, sys.stdout)
    print()


def suites():
    """What the test seals with."""
    rows = [{"suite": suite, "encryption": BY_ICV[crypt][icv] if crypt in BY_ICV else TRANSFORMS[crypt],
             "encrBytes": encr_len, "integrity": TRANSFORMS[auth] if auth else 0, "integBytes": integ_len}
            for suite, (crypt, encr_len, icv, auth, integ_len) in SUITES.items()]
    json.dump(rows, sys.stdout)
    print()


if __name__ == "__main__":
    {"open": open_all, "suites": suites, "modes": make_modes}.get("".join(sys.argv[1:]), make)()
