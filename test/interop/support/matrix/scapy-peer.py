#!/usr/bin/python3
"""A peer whose every ESP packet is made and opened by scapy.

    scapy-peer.py FOLDER INTERFACE ADDRESS...

IKE is somebody else's: FOLDER/keys.json says which SAs there are, and FOLDER/keys.done which version of it is in use. The host's
own TCP to the ADDRESSes goes through a TUN device to here; what comes back sealed is opened and written to that device.
FOLDER/counts.json counts what was sealed and opened, and what should not have come: a wrong ICV, a number that came before.
"""
import fcntl
import importlib.util
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys

from scapy.all import IP, IPv6, UDP, Raw
from scapy.layers.ipsec import ESP

TUN, TABLE, POLL_SECONDS = "esp0", "4303", 0.02
ETH_P_ALL, PACKET_OUTGOING = 3, 4
SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "vectors/make-esp-vectors.py"
spec = importlib.util.spec_from_file_location("vectors", SCRIPT)
vectors = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vectors)


def outer(source, destination):
    return (IPv6 if ":" in source else IP)(src=source, dst=destination)


def suite_of(encryption, integrity, encr_key, integ_key):
    """Names of charon as a row of the vectors' table, which is made longer by it."""
    words = encryption.split("_")
    aead = {"AES_GCM": int(words[-1]), "AES_CCM": int(words[-1])} if words[-1] in ("8", "12", "16") else {}
    crypt = {"NULL_AES_GMAC": "AES-GMAC"}.get(encryption, "-".join(words[:-1] if aead else words))
    icv = aead.get("_".join(words[:-1]), 16 if crypt in ("AES-GMAC", "CHACHA20-POLY1305") else 0)
    auth = integrity and integrity.replace("HMAC_SHA2", "SHA2").replace("_", "-")
    name = f"{encryption}/{integrity}/{len(encr_key)}"
    vectors.SUITES[name] = (crypt, len(encr_key), icv, auth or None, len(integ_key))
    return name


class Way:
    """One direction of an SA."""

    def __init__(self, sa, name):
        self.sa = sa
        self.esn, self.spi = sa["esn"], sa[name]["spi"]
        self.encr_key, self.integ_key = (bytes.fromhex(sa[name][key]) for key in ("encryption", "integrity"))
        self.suite = suite_of(sa["encryption"], sa["integrity"], self.encr_key, self.integ_key)
        self.sequence = 0
        self.seen = set()
        ends = ("local", "remote") if name == "out" else ("remote", "local")
        self.outer = outer(*(sa[end] for end in ends))

    def tunnel(self):
        return self.outer.copy() if self.sa["mode"] == "tunnel" else None

    def seal(self, inner):
        """The whole packet for the wire."""
        self.sequence += 1
        iv = os.urandom(vectors.IV_LENGTHS.get(vectors.SUITES[self.suite][0], 8))
        esp = vectors.seal(self.suite, self.spi, self.encr_key, self.integ_key, self.esn, self.sequence, iv, inner,
                           self.tunnel())
        packet = self.outer.copy()
        if self.sa["udp"]:
            return bytes(packet / UDP(sport=4500, dport=4500) / Raw(esp))
        setattr(packet, "nh" if packet.version == 6 else "proto", socket.IPPROTO_ESP)
        return bytes(packet / Raw(esp))

    def open(self, esp):
        """What is inside, or why not."""
        sequence = struct.unpack("!L", esp[4:8])[0]
        if sequence in self.seen:
            return None, "replay"
        plain = vectors.for_scapy(self.suite, self.encr_key, self.integ_key, self.esn, sequence, esp)
        if plain is None:
            return None, "icv"
        sa = vectors.association(self.suite, self.spi, self.encr_key, self.integ_key, self.esn, False, self.tunnel())
        try:
            packet = self.outer.__class__(bytes(self.outer / ESP(plain)))
            inner = bytes(sa.decrypt(packet, verify=True, esn_en=self.esn, esn=0))
        except Exception as error:  # whatever it is, the test must see it
            return None, f"{type(error).__name__}: {error}"
        self.seen.add(sequence)
        return inner, None


def esp_in(packet):
    """The ESP in a whole IP packet, bare or in UDP; nothing if there is none."""
    if packet[0] >> 4 == 4:
        protocol, data = packet[9], packet[(packet[0] & 15) * 4:struct.unpack("!H", packet[2:4])[0]]
    else:
        protocol, data = packet[6], packet[40:40 + struct.unpack("!H", packet[4:6])[0]]
    if protocol == socket.IPPROTO_ESP:
        return data
    # Four zero bytes are IKE's (RFC 3948 section 2.2).
    if protocol == socket.IPPROTO_UDP and data[:2] == b"\x11\x94" and len(data) > 20 and data[8:12] != bytes(4):
        return data[8:]
    return b""


class Peer:
    def __init__(self, folder, interface, addresses):
        self.folder, self.version = folder, 0
        self.by_port, self.by_spi, self.counts = {}, {}, {}
        self.tun = self.open_tun(addresses)
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.wire.bind((interface, ETH_P_ALL))
        self.raw = {family: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
                    for family in (socket.AF_INET, socket.AF_INET6)}

    @staticmethod
    def open_tun(addresses):
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        IFF_TUN, IFF_NO_PI, TUNSETIFF = 0x0001, 0x1000, 0x400454CA
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", TUN.encode(), IFF_TUN | IFF_NO_PI))
        commands = [["link", "set", TUN, "addrgenmode", "none"], ["link", "set", TUN, "mtu", "1300", "up"]]
        for address in addresses:
            family = "-6" if ":" in address else "-4"
            commands += [[family, "rule", "add", "to", address, "ipproto", "tcp", "lookup", TABLE, "priority", "100"],
                         [family, "route", "add", address, "dev", TUN, "table", TABLE]]
        for command in commands:
            subprocess.run(["ip", *command], check=True)
        return tun

    def read_keys(self):
        try:
            with open(self.folder + "/keys.json", encoding="ascii") as file:
                keys = json.load(file)
        except FileNotFoundError:
            return
        if keys["version"] == self.version:
            return
        for sa in keys["sas"]:
            if sa["in"]["spi"] not in self.by_spi:
                self.by_spi[sa["in"]["spi"]] = Way(sa, "in")
                self.by_port[sa["port"]] = Way(sa, "out")
        self.version = keys["version"]
        self.write("keys.done", str(self.version))

    def write(self, name, text):
        with open(f"{self.folder}/{name}.next", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(f"{self.folder}/{name}.next", f"{self.folder}/{name}")

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def send(self, packet):
        inner = (IP if packet[0] >> 4 == 4 else IPv6)(packet)
        way = self.by_port.get(getattr(inner.payload, "dport", None))
        if way is None:
            return
        sealed = way.seal(inner)
        self.count("sealed")
        family = socket.AF_INET if sealed[0] >> 4 == 4 else socket.AF_INET6
        self.raw[family].sendto(sealed, (way.sa["remote"], 0))

    def receive(self, packet):
        esp = esp_in(packet)
        way = self.by_spi.get(struct.unpack("!L", esp[:4])[0]) if len(esp) > 8 else None
        if way is None:
            return
        inner, fault = way.open(esp)
        self.count(fault or "opened")
        if fault is None:
            os.write(self.tun, inner)

    def run(self):
        while True:
            ready, _, _ = select.select([self.tun, self.wire], [], [], POLL_SECONDS)
            if not ready:
                self.write("counts.json", json.dumps(self.counts))
            self.read_keys()
            if self.tun in ready:
                self.send(os.read(self.tun, 2048))
            if self.wire in ready:
                packet, (_, _, kind, *_) = self.wire.recvfrom(4096)
                if kind != PACKET_OUTGOING and packet:
                    self.receive(packet)


if __name__ == "__main__":
    Peer(sys.argv[1], sys.argv[2], sys.argv[3:]).run()
