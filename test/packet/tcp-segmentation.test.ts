import { expect } from 'chai';
import * as fc from 'fast-check';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import { hasValidIpv4Checksum } from '../../src/packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../../src/packet/ipv6.ts';
import { encodeTcp, hasValidTcpChecksum, TCP_FLAG, TCP_HEADER_BYTES } from '../../src/packet/tcp.ts';
import { cutTcp } from '../../src/packet/tcp-segmentation.ts';
import { ACK, addr, CLIENT6, CLIENT_INNER, DVIPA, DVIPA6, SYN, tcp } from '../support/inner-packets.ts';

const { FIN, PSH, CWR, URG } = TCP_FLAG;

interface Made {
  readonly packet: Buffer;
  readonly upper: number;
  readonly source: string;
  readonly destination: string;
}

function made4(data: string, flags: number): Made {
  return { packet: tcp({ data, flags }), upper: 20, source: CLIENT_INNER, destination: DVIPA };
}

function made6(data: string, flags: number): Made {
  const payload = Buffer.alloc(TCP_HEADER_BYTES + data.length);
  encodeTcp(payload, 0, { sourcePort: 40_000, destinationPort: 80, flags });
  payload.write(data, TCP_HEADER_BYTES, 'latin1');
  const packet = Buffer.alloc(IPV6_HEADER_BYTES + payload.length);
  encodeIpv6(packet, 0, {
    payloadBytes: payload.length,
    protocol: 6,
    source: addr(CLIENT6),
    destination: addr(DVIPA6),
    hopLimit: 64,
    trafficClass: 0,
  });
  packet.set(payload, IPV6_HEADER_BYTES);
  return { packet, upper: IPV6_HEADER_BYTES, source: CLIENT6, destination: DVIPA6 };
}

function cut({ packet, upper }: Made, mtu: number): { pieces: Buffer[]; reason: string | undefined } {
  const pieces: Buffer[] = [];
  const verdict = cutTcp(packet, 0, packet.length, upper, mtu, Buffer.alloc(mtu), (slab, offset, length) =>
    pieces.push(Buffer.from(slab.subarray(offset, offset + length))),
  );
  return { pieces, reason: DROP_REASONS[verdict] };
}

describe('TCP segmentation', () => {
  it('makes segments that a receiver puts together to the same, each with right checksums', () => {
    const flags = fc.constantFrom(ACK, ACK | PSH, ACK | FIN | PSH, ACK | CWR | PSH);
    const bytes = fc.integer({ min: 1, max: 9000 });
    const sequence = fc.constantFrom(1, 0xffff_fff0);
    fc.assert(
      fc.property(
        bytes,
        flags,
        fc.integer({ min: 81, max: 1500 }),
        sequence,
        fc.boolean(),
        (count, set, mtu, first, isIpv6) => {
          const data = Array.from({ length: count }, (_, n) => String.fromCharCode(n % 251)).join('');
          const made = (isIpv6 ? made6 : made4)(data, set);
          made.packet.writeUInt32BE(first, made.upper + 4);
          const original = Buffer.from(made.packet);
          const { pieces, reason } = cut(made, mtu);
          expect(reason).to.equal('none');
          expect(made.packet.equals(original), 'the source stays as it is').to.equal(true);
          const whole = Buffer.alloc(count);
          for (const [n, piece] of pieces.entries()) {
            expect(piece.length).to.be.at.most(mtu);
            const at = (piece.readUInt32BE(made.upper + 4) - first) >>> 0;
            whole.set(piece.subarray(made.upper + TCP_HEADER_BYTES), at);
            const args = [addr(made.source), 0, addr(made.destination), 0] as const;
            expect(hasValidTcpChecksum(piece, made.upper, piece.length - made.upper, ...args)).to.equal(true);
            if (!isIpv6) expect(hasValidIpv4Checksum(piece, 0, 20)).to.equal(true);
            const said = isIpv6 ? piece.readUInt16BE(4) + IPV6_HEADER_BYTES : piece.readUInt16BE(2);
            expect(said).to.equal(piece.length);
            const isLast = n === pieces.length - 1;
            const wanted = set & ~(isLast ? 0 : FIN | PSH) & ~(n === 0 ? 0 : CWR);
            expect(piece.readUInt8(made.upper + 13)).to.equal(wanted);
          }
          expect(whole.toString('latin1')).to.equal(data);
          expect(pieces).to.have.lengthOf(Math.ceil(count / (mtu - made.upper - TCP_HEADER_BYTES)));
        },
      ),
    );
  });

  it('refuses what nobody joins', () => {
    for (const flags of [SYN, ACK | URG]) expect(cut(made4('data', flags), 1400).reason).to.equal('too-big');
  });
});
