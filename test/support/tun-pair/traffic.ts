import * as fc from 'fast-check';
import { TCP_FLAG } from '../../../src/packet/tcp.ts';
import { icmpEcho, udp } from '../inner-packets.ts';
import { pattern } from '../packet-vectors.ts';
import { packetOf, PLAIN } from './segments.ts';
import { train } from './writes.ts';

const { ACK, PSH, ECE } = TCP_FLAG;

/** Segments of some connections mixed with other packets, a few of them damaged or out of order. */
export function anyTraffic(): fc.Arbitrary<Buffer[]> {
  const segments = fc
    .record({
      isIpv6: fc.boolean(),
      port: fc.integer({ min: 1, max: 11 }),
      bytes: fc.integer({ min: 1, max: 2500 }),
      size: fc.integer({ min: 250, max: 1400 }),
      sequence: fc.constantFrom(1, 0xffff_f000),
      flags: fc.constantFrom(ACK, ACK | PSH, ACK | ECE),
    })
    .map(({ bytes, size, ...rest }) =>
      train({ ...PLAIN, ...rest, payload: pattern(bytes) }, size).map(packetOf),
    );
  const other = fc.constantFrom(
    [icmpEcho()],
    [udp({ data: pattern(100) })],
    [Buffer.of(0x45)],
    [Buffer.alloc(60)],
  );
  return fc
    .record({
      trains: fc.array(fc.oneof({ weight: 5, arbitrary: segments }, other), { minLength: 1, maxLength: 14 }),
      spoils: fc.array(fc.record({ packet: fc.nat(), at: fc.nat(), bit: fc.nat({ max: 7 }) }), {
        maxLength: 3,
      }),
      swaps: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 3 }),
      stride: fc.nat({ max: 20 }),
    })
    .map(({ trains, spoils, swaps, stride }) => {
      // Mixed: a few of each train by turns.
      const packets: Buffer[] = [];
      const rest = trains.map((each) => each.map((packet) => Buffer.from(packet)));
      while (rest.some((each) => each.length > 0))
        for (const each of rest) packets.push(...each.splice(0, stride + 1));
      for (const { packet, at, bit } of spoils) {
        const spoilt = packets[packet % packets.length] as Buffer;
        const place = at % spoilt.length;
        spoilt.writeUInt8(spoilt.readUInt8(place) ^ (1 << bit), place);
      }
      for (const [a, b] of swaps) {
        const [x, y] = [a % packets.length, b % packets.length];
        [packets[x], packets[y]] = [packets[y] as Buffer, packets[x] as Buffer];
      }
      return packets;
    });
}
