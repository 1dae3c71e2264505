import type { Host } from '../../../src/lab/host.ts';

/** Sends each IPv4 packet of native ESP of a capture again, from an address of the attacker's choice. */
const SEND = `
import sys
from scapy.all import Ether, IP, Raw, get_if_hwaddr, getmacbyip, rdpcap, sendp
file, address, how = sys.argv[1:]
copies = []
for packet in rdpcap(file):
    esp = bytearray(bytes(packet[IP].payload))
    if how == 'forged':  # a number that is far ahead
        esp[4:8] = (int.from_bytes(esp[4:8], 'big') + 1000000).to_bytes(4, 'big')
    # With its own hardware address, or the bridge takes this for the victim's place.
    ether = Ether(src=get_if_hwaddr('outside0'), dst=packet[Ether].dst)
    copies.append(ether / IP(src=address, dst=packet[IP].dst, proto=50) / Raw(bytes(esp)))
sendp(copies, iface='outside0', verbose=False)
print(len(copies))
`;

/** `genuine`: as recorded, so replays. `forged`: with numbers that nobody has used. Returns how many were sent. */
export async function sendCopies(
  attacker: Host,
  file: string,
  address: string,
  how: 'genuine' | 'forged',
): Promise<number> {
  const sent = await attacker.must(['/usr/bin/python3', '-c', SEND, file, address, how], {
    timeoutMs: 60_000,
  });
  return Number(sent);
}
