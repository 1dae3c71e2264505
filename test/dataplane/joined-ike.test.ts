import { expect } from 'chai';
import { DropCounters, ELSEWHERE, verdictOf } from '../../src/base/verdict.ts';
import { classify } from '../../src/dataplane/classify.ts';
import { JoinedIke } from '../../src/dataplane/joined-ike.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { AddressSet } from '../../src/packet/address-map.ts';
import { foldChecksum, pseudoHeaderSum4, pseudoHeaderSum6 } from '../../src/packet/checksum.ts';
import { encodeUdp, writeUdpChecksum } from '../../src/packet/udp.ts';
import { addr } from '../support/inner-packets.ts';
import { ipPacket } from '../support/ip-packets.ts';

const NOT_ESP = verdictOf('not-esp');
const HOSTS = { 4: ['192.0.2.101', '192.0.2.10'], 6: ['2001:db8::101', '2001:db8::10'] } as const;
const DVIPA = '203.0.113.10';
const MARKER = '00000000';

/** A datagram of a super-packet: its checksum is the sum of the pseudo header. */
function datagram(family: 4 | 6, port: number, payload: string, source: string = HOSTS[family][0]): Buffer {
  const [, destination] = HOSTS[family];
  const data = Buffer.from(payload, 'hex');
  const udp = Buffer.alloc(8 + data.length);
  encodeUdp(udp, 0, 4500, port, data.length);
  udp.set(data, 8);
  const packet = ipPacket({ source, destination, protocol: 17, payload: udp });
  const sum =
    family === 4
      ? pseudoHeaderSum4(addr(source)[3] as number, addr(destination)[3] as number, 17, udp.length)
      : pseudoHeaderSum6(packet, 8, 17, udp.length);
  packet.writeUInt16BE(~foldChecksum(sum) & 0xffff, packet.length - udp.length + 6);
  return packet;
}

/** With the checksum that it should have. */
function finished(packet: Buffer, family: 4 | 6): Buffer {
  const copy = Buffer.from(packet);
  const at = family === 4 ? 20 : 40;
  const [source, destination] = HOSTS[family];
  writeUdpChecksum(copy, at, copy.length - at, addr(source), 0, addr(destination), 0);
  return copy;
}

describe('IKE joined to ESP', () => {
  const addresses = {
    endpoints: new AddressSet([addr(HOSTS[4][1]), addr(HOSTS[6][1])]),
    dvipas: new AddressSet([addr(DVIPA)]),
  };

  function taken(packet: Buffer, refuses = false) {
    const sent: Buffer[] = [];
    const raw = {
      send: (vector: PacketVector) => {
        if (refuses) vector.verdict[0] = verdictOf('send-failed');
        else sent.push(Buffer.from(vector.packet(0)));
        return sent.length;
      },
    };
    const drops = new DropCounters();
    const ike = new JoinedIke(raw, drops, addresses);
    const vector = new PacketVector(1);
    vector.push(packet);
    classify(vector, addresses);
    expect(vector.verdict[0]).to.equal(NOT_ESP);
    return { verdict: ike.take(vector, 0), sent, messages: ike.messages, drops: drops.toJSON() };
  }

  for (const family of [4, 6] as const) {
    it(`IKE joined to ESP over IPv${family} goes to charon as it was sent, with its checksum finished`, () => {
      const packet = datagram(family, 4500, `${MARKER}0102030405060708${'5a'.repeat(100)}`);
      const { verdict, sent, messages } = taken(packet);
      expect(verdict).to.equal(ELSEWHERE);
      expect(messages).to.equal(1);
      expect(sent.map((each) => each.toString('hex'))).to.deep.equal([
        finished(packet, family).toString('hex'),
      ]);
    });
  }

  it('IKE joined to ESP is nothing else: not a reserved SPI, not another port', () => {
    for (const [port, payload] of [
      [4500, `000000ff${'00'.repeat(40)}`],
      [4501, `${MARKER}${'00'.repeat(40)}`],
      [500, `${MARKER}${'00'.repeat(40)}`],
    ] as const) {
      expect(taken(datagram(4, port, payload))).to.deep.include({ verdict: NOT_ESP, sent: [], messages: 0 });
    }
  });

  it('IKE joined to ESP is of nobody who cannot be outside: the kernel would have dropped it, and does not ask again', () => {
    for (const [family, source] of [
      [4, '127.0.0.1'],
      [4, '0.0.0.0'],
      [4, '224.0.0.1'],
      [4, '255.255.255.255'],
      [4, HOSTS[4][1]],
      [6, '::1'],
      [6, 'ff02::1'],
      [6, HOSTS[6][1]],
      [4, DVIPA],
    ] as const) {
      const packet = datagram(family, 4500, `${MARKER}${'5a'.repeat(40)}`, source);
      expect(taken(packet), source).to.deep.include({ verdict: NOT_ESP, sent: [], messages: 0 });
    }
  });

  it('IKE joined to ESP is counted if the kernel does not take it', () => {
    const { messages, drops } = taken(datagram(4, 4500, `${MARKER}${'00'.repeat(40)}`), true);
    expect(messages).to.equal(0);
    expect(drops).to.include({ 'send-failed': 1 });
  });
});
