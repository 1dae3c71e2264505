import { readPcap } from '../../../src/lab/pcap.ts';

/** On a peer: answers HTTP with who asks, slowly if asked so, and datagrams with themselves. */
export const PEER_PORT = 8090;
export const PEER_SERVER = `
  const answer = ({ url, socket }, response) => {
    const who = socket.remoteAddress.replace('::ffff:', '') + ' ' + socket.remotePort + '\\n';
    if (url !== '/slow') return response.end(who);
    let left = 60;
    const more = setInterval(() => --left > 0 ? response.write('.'.repeat(999) + '\\n') : (clearInterval(more), response.end(who)), 100);
  };
  require('node:http').createServer(answer).listen(${PEER_PORT});
  const udp = require('node:dgram').createSocket('udp4');
  udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address));
  udp.bind(${PEER_PORT});`;

/** On a target: so many datagrams from sockets of their own, bound to the DVIPA only. Prints the ports that were answered. */
export const UDP_CLIENT = `
import socket, sys
dvipa, peer, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sockets = []
for i in range(count):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(5)
    udp.bind((dvipa, 0))
    udp.sendto(b'datagram %d' % i, (peer, ${PEER_PORT}))
    sockets.append(udp)
for i, udp in enumerate(sockets):
    assert udp.recv(100) == b'datagram %d' % i
    print(udp.getsockname()[1])
`;

/** Initial sequence numbers by source port of the SYNs to the server in a capture of a TUN: one, unless two hosts had the port. */
export function openedPorts(pcap: string): Map<number, Set<number>> {
  const opened = new Map<number, Set<number>>();
  for (const { bytes } of readPcap(pcap).packets) {
    if (bytes.length < 40 || bytes.readUInt8(0) >> 4 !== 4 || bytes.readUInt8(9) !== 6) continue;
    const tcp = bytes.subarray((bytes.readUInt8(0) & 15) * 4);
    const isSyn = (tcp.readUInt8(13) & 0x12) === 2;
    if (!isSyn || tcp.readUInt16BE(2) !== PEER_PORT) continue;
    const port = tcp.readUInt16BE(0);
    opened.set(port, (opened.get(port) ?? new Set()).add(tcp.readUInt32BE(4)));
  }
  return opened;
}
