import { randomBytes } from 'node:crypto';
import { KEEP } from '../../../src/base/verdict.ts';
import { PacketVector } from '../../../src/dataplane/vector.ts';
import { EspNodeCrypto } from '../../../src/ipsec/esp-node-crypto.ts';
import type { EspKeys } from '../../../src/ipsec/packet-crypto.ts';
import type { Host } from '../../../src/lab/host.ts';
import { listPlugin, openSession, type PluginSa } from '../../../src/vici/index.ts';
import { ipv4Hex, udpHex } from './ipv4-packets.ts';

/**
 * Sends whole IPv4 packets, one line of hexadecimal text each: so a test may lie in every field. The kernel fills in
 * nothing but the length and the checksum of the IP header.
 */
const RAW_SENDER = `
import socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for line in sys.stdin:
    packet = bytes.fromhex(line)
    raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
`;

/** Sends IPv4 packets (hexadecimal text) from a host, as they are. */
export async function sendRaw(host: Host, packets: readonly string[]): Promise<void> {
  await host.must(['/usr/bin/python3', '-c', RAW_SENDER], { input: `${packets.join('\n')}\n` });
}

/** The SAs that charon negotiated with a peer, with their keys, as the plugin tells root. */
export interface PeerSas {
  readonly inbound: PluginSa;
  readonly outbound: PluginSa;
}

/** Asks the plugin for the newest SAs with this peer (outer address). */
export async function readPeerSas(pluginSocket: string, peer: string): Promise<PeerSas> {
  const session = await openSession(`unix://${pluginSocket}`);
  try {
    const { sas } = await listPlugin(session, (error) => {
      throw error;
    });
    const newest = (isIt: (sa: PluginSa) => boolean) => {
      const found = sas.filter(isIt).toSorted((a, b) => Number(b.id) - Number(a.id))[0];
      if (found === undefined) throw new Error(`the plugin has no SA with ${peer}`);
      return found;
    };
    return {
      inbound: newest(({ direction, source }) => direction === 'in' && source === peer),
      outbound: newest(({ direction, destination }) => direction === 'out' && destination === peer),
    };
  } finally {
    session.close();
  }
}

export interface SealOptions {
  readonly sequence: number;
  readonly spi?: number;
  /** 4 unless said otherwise. */
  readonly nextHeader?: number;
}

/**
 * A peer whose keys the test knows: it says what a real one never would. Its ESP comes from `src/ipsec`, which is
 * tested against scapy and published vectors; what is sent is then bent byte by byte.
 */
export class ForgedPeer {
  readonly host: Host;
  readonly sas: PeerSas;
  readonly #crypto = new EspNodeCrypto({ randomBytes });
  #keys: EspKeys;

  constructor(host: Host, sas: PeerSas) {
    this.host = host;
    this.sas = sas;
    const { inbound } = sas;
    this.#keys = {
      spi: inbound.spi,
      hasEsn: inbound.hasEsn,
      encryption: { transform: inbound.encryptionTransform, key: inbound.encryptionKey },
      ...(inbound.integrityKey === undefined
        ? {}
        : { integrity: { transform: inbound.integrityTransform, key: inbound.integrityKey } }),
    };
  }

  /** An inner packet (hexadecimal text) as ESP. The IV's upper half is far from any counter. */
  seal(inner: string, { sequence, spi = this.#keys.spi, nextHeader = 4 }: SealOptions): Buffer {
    const vector = new PacketVector(1);
    vector.push(Buffer.from(inner, 'hex'));
    this.#crypto.install(0, { ...this.#keys, spi });
    vector.saSlot[0] = 0;
    vector.sequenceLow[0] = sequence;
    vector.ivHigh[0] = 0xeeee_0000 + randomBytes(2).readUInt16BE(0);
    vector.ivLow[0] = sequence;
    vector.nextHeader[0] = nextHeader;
    this.#crypto.seal(vector);
    if (vector.verdict[0] !== KEEP) throw new Error(`not sealed: verdict ${vector.verdict[0]}`);
    return Buffer.from(vector.packet(0));
  }

  /** ESP in UDP from this peer to the endpoint, as a whole IPv4 packet in hexadecimal text. */
  datagram(esp: Buffer, ports?: { readonly source: number; readonly destination: number }): string {
    const { source, destination, sourcePort, destinationPort } = this.sas.inbound;
    const udp = udpHex(
      ports?.source ?? sourcePort,
      ports?.destination ?? destinationPort,
      esp.toString('hex'),
    );
    return ipv4Hex(source, destination, 17, udp);
  }

  async send(...packets: readonly (Buffer | string)[]): Promise<void> {
    await sendRaw(
      this.host,
      packets.map((packet) => (typeof packet === 'string' ? packet : this.datagram(packet))),
    );
  }
}
