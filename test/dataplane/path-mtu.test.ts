import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropCounters } from '../../src/base/verdict.ts';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { PathMtuMessages } from '../../src/dataplane/path-mtu-messages.ts';
import type { ShadowOutboundSa } from '../../src/dataplane/target-outbound.ts';
import { internetChecksum } from '../../src/packet/checksum.ts';
import { encodeFragmentationNeeded } from '../../src/packet/icmp.ts';
import { encodeIcmpv6Error } from '../../src/packet/icmpv6.ts';
import { AddressSet } from '../../src/packet/address-map.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { Reassembler } from '../../src/packet/reassembly.ts';
import { encodeTcp, writeTcpChecksum } from '../../src/packet/tcp.ts';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { addressesOf, type Cell, CELLS, cellSa, ipHeaderBytes, sealedBy } from '../support/family-cells.ts';
import { addr, SYN } from '../support/inner-packets.ts';
import { ipPacket } from '../support/ip-packets.ts';
import { selectorOf } from '../support/test-sas.ts';
import { OutboundBench } from './outbound-bench.ts';
import { RoutingBench } from './routing-bench.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;
const SUITE = 'aes128gcm16';
const titleOf = ({ outside, inside, mode, isUdp }: Cell) =>
  `${mode} mode, IPv${inside} over IPv${outside}, ${isUdp ? 'in UDP' : 'native'}`;

class Reassembly {
  readonly #drops = new DropCounters();
  readonly #reassembler = new Reassembler({ hash: new KeyedHash(Buffer.alloc(8, 1)), drops: this.#drops });

  /** The datagrams that these packets are, as their receiver puts them together. */
  wholes(packets: readonly Buffer[]): Buffer[] {
    return packets.flatMap((packet) => {
      const verdict = this.#reassembler.take(packet, 0, packet.length, 0);
      return verdict === 0 ? [Buffer.from(this.#reassembler.slab.subarray(0, this.#reassembler.length))] : [];
    });
  }
}

/** A target with a lease, and what the peer gets of it. */
class Sender {
  readonly bench = new OutboundBench();
  readonly entry: ShadowOutboundSa;
  readonly peer = new EspPeer(SUITE, SPI);
  readonly cell: Cell;

  constructor(cell: Cell, mtu: number, ports?: { protocol: number; fromPort: number; toPort: number }) {
    this.cell = cell;
    this.bench.limits = { outside: mtu, cluster: 1500 };
    const sa = cellSa(cell, 'out', SPI);
    const { dvipa } = addressesOf(cell);
    this.entry = this.bench.install(
      ports === undefined ? sa : { ...sa, sourceSelectors: [selectorOf(dvipa, ports)] },
    );
    this.bench.run(this.packet(60));
    this.bench.grant(this.entry, 1, 4096);
    this.bench.raw.take();
  }

  packet(length: number, hasDontFragment = false): Buffer {
    const { dvipa, inner } = addressesOf(this.cell);
    const payload = Buffer.alloc(length - ipHeaderBytes(this.cell.inside));
    for (let i = 0; i < payload.length; i++) payload.writeUInt8((i * 7 + length) & 255, i);
    payload.writeUInt16BE(80, 0);
    payload.writeUInt16BE(4000, 2);
    payload.writeUInt16BE(payload.length, 4);
    payload.writeUInt16BE(0, 6);
    const packet = ipPacket({ source: dvipa, destination: inner, protocol: IP_PROTOCOL.UDP, payload });
    if (this.cell.inside === 4) setField4(packet, length, hasDontFragment ? 0x4000 : 0);
    return packet;
  }

  /** What the peer's hosts get: outer datagrams whole again, opened, inner ones whole again. */
  received(sent: readonly Buffer[]): Buffer[] {
    const { mode, outside, inside, isUdp } = this.cell;
    const skip = ipHeaderBytes(outside) + (isUdp ? 8 : 0);
    const inner = new Reassembly().wholes(sent).map((datagram) => {
      const opened = this.peer.open(datagram.subarray(skip));
      if (mode === 'tunnel') expect(opened?.nextHeader).to.equal(inside === 4 ? 4 : 41);
      return opened?.inner as Buffer;
    });
    return mode === 'transport' ? inner : new Reassembly().wholes(inner);
  }
}

function setField4(packet: Buffer, identification: number, field: number): void {
  packet.writeUInt16BE(identification, 4);
  packet.writeUInt16BE(field, 6);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(internetChecksum(packet, 0, 20), 10);
}

/** Without what may change on the way: identification, fragment bits, checksum. */
const essence = (packet: Buffer, { mode, inside }: Cell) =>
  mode === 'transport' || inside === 6 ? packet : packet.subarray(12);

const wantedOf = (packet: Buffer, cell: Cell) =>
  cell.mode === 'transport' ? packet.subarray(ipHeaderBytes(cell.inside)) : packet;

const hexOf = (packets: readonly Buffer[]) => packets.map((packet) => packet.toString('hex'));

for (const cell of CELLS) {
  describe(`path MTU: ${titleOf(cell)}`, () => {
    const floor = cell.outside === 4 ? 552 : 1280;

    it('no outer packet is longer, and the peer gets every byte of what may be cut', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: floor, max: 1500 }),
          fc.integer({ min: 60, max: 3800 }),
          (mtu, length) => {
            const sender = new Sender(cell, mtu);
            const packet = sender.packet(length);
            sender.bench.run(packet);
            const sent = sender.bench.raw.take();
            for (const piece of sent) expect(piece.length).to.be.at.most(mtu);
            if (cell.inside === 6 && length > sender.entry.fit.innerMtu6) {
              expect(sent).to.have.lengthOf(0);
              expect(counted(sender.bench.drops)).to.deep.equal({ 'too-big': 1 });
              expect(sender.bench.kernel.packets).to.have.lengthOf(1);
            } else {
              expect(counted(sender.bench.drops)).to.deep.equal({});
              const received = sender.received(sent).map((whole) => essence(whole, cell));
              expect(hexOf(received)).to.deep.equal(hexOf([essence(wantedOf(packet, cell), cell)]));
            }
          },
        ),
        { numRuns: 40 },
      );
    });

    it('says how much fits, and exactly that fits in one piece', () => {
      fc.assert(
        fc.property(fc.integer({ min: Math.max(floor, 1400), max: 1500 }), (mtu) => {
          const sender = new Sender(cell, mtu);
          sender.bench.run(sender.packet(3000, true));
          expect(counted(sender.bench.drops)).to.deep.equal({ 'too-big': 1 });
          const [message] = sender.bench.kernel.packets as [Buffer];
          const told = cell.inside === 4 ? message.readUInt16BE(26) : message.readUInt32BE(44);
          expect(told).to.equal(sender.entry.fit.innerBytes);
          sender.bench.run(sender.packet(told, true));
          const sent = sender.bench.raw.take();
          expect(sent).to.have.lengthOf(1);
          expect(sent[0]?.length).to.be.within(mtu - 3, mtu);
          expect(hexOf(sender.received(sent))).to.deep.equal(
            hexOf([wantedOf(sender.packet(told, true), cell)]),
          );
          sender.bench.run(sender.packet(told + 1, true));
          expect(counted(sender.bench.drops)).to.deep.equal({ 'too-big': 2 });
        }),
        { numRuns: 20 },
      );
    });

    it('keeps numbers in the order in which packets leave', () => {
      const sender = new Sender(cell, 1280);
      const lengths = [100, 1270, 200, 1275, 300];
      sender.bench.run(...lengths.map((length) => sender.packet(length)));
      const sent = sender.bench.raw.take();
      const skip = ipHeaderBytes(cell.outside) + (cell.isUdp ? 8 : 0);
      const numbers = new Reassembly().wholes(sent).map((datagram) => datagram.readUInt32BE(skip + 4));
      expect(numbers).to.deep.equal(numbers.toSorted((a, b) => a - b));
      expect(sender.received(sent)).to.have.lengthOf(5);
    });

    it('puts the fragments of a datagram together for transport mode, and sends each of them in tunnel mode, where ports matter', () => {
      const sender = new Sender(cell, 1500, { protocol: 17, fromPort: 80, toPort: 80 });
      const whole = sender.packet(4000 + ipHeaderBytes(cell.inside));
      const pieces = piecesOf(whole, cell.inside, 1360);
      sender.bench.run(...pieces);
      const sent = sender.bench.raw.take();
      expect(counted(sender.bench.drops)).to.deep.equal({});
      for (const piece of sent) expect(piece.length).to.be.at.most(1500);
      const received = sender.received(sent).map((packet) => essence(packet, cell));
      expect(hexOf(received)).to.deep.equal(hexOf([essence(wantedOf(whole, cell), cell)]));
    });

    it('sends no later fragment whose first one no policy takes', () => {
      const sender = new Sender(cell, 1500, { protocol: 17, fromPort: 80, toPort: 80 });
      const [first, later] = piecesOf(sender.packet(2500), cell.inside, 1360) as [Buffer, Buffer];
      first.writeUInt16BE(81, ipHeaderBytes(cell.inside) + (cell.inside === 6 ? 8 : 0));
      sender.bench.run(later, first, later);
      expect(sender.bench.raw.take()).to.have.lengthOf(0);
      expect(counted(sender.bench.drops)).to.deep.equal({ 'no-policy': 3 });
    });

    it('lowers the MSS in both directions to what fits without fragments', () => {
      const { dvipa, inner, endpoint } = addressesOf(cell);
      const out = new Sender(cell, 1400);
      out.bench.run(synOf(dvipa, inner, 1460));
      const [sent] = out.received(out.bench.raw.take()) as [Buffer];
      const into = new TargetBench();
      into.limits = { outside: 1400, cluster: 9000 };
      into.addresses = { ...into.addresses, endpoints: new AddressSet([addr(endpoint)]) };
      into.install(cellSa(cell, 'in', SPI));
      into.run(sealedBy(new EspPeer(SUITE, SPI), cell, synOf(inner, dvipa, 1460)));
      const mss = [sent, ...into.tun.packets].map((packet) => packet.readUInt16BE(packet.length - 2));
      const headers = ipHeaderBytes(cell.inside) + 20;
      expect(mss).to.deep.equal([out.entry.fit.innerBytes - headers, out.entry.fit.innerBytes - headers]);
    });

    it('believes a router that quotes a packet of a live SA, and nobody else', () => {
      const sender = new Sender(cell, 1500);
      const bench = new MessageBench(sender);
      sender.bench.run(sender.packet(1200));
      const [sent] = sender.bench.raw.take() as [Buffer];
      const spiAt = ipHeaderBytes(cell.outside) + (cell.isUdp ? 8 : 0);
      const changed = (at: number) => {
        const copy = Buffer.from(sent);
        copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
        return copy;
      };
      const addressesAt = cell.outside === 4 ? [15, 19] : [23, 39];
      const ports = cell.isUdp ? [spiAt - 7, spiAt - 5] : [];
      for (const at of [...addressesAt, ...ports, spiAt + 3]) bench.say(1300, changed(at));
      bench.say(1300, sent.subarray(0, spiAt + 7));
      expect(sender.entry.fit.outerMtu).to.equal(1500);
      bench.say(1300, sent);
      expect([sender.entry.fit.outerMtu, bench.lowered]).to.deep.equal([1300, [1300]]);
      expect(counted(bench.routing.drops)).to.deep.equal({
        'path-mtu-refused': addressesAt.length + ports.length + 2,
      });
      for (const mtu of [1400, 68]) {
        bench.routing.now += 100;
        bench.say(mtu, sent);
      }
      // Down to the floor of IPv4; with IPv6 a lower value is no true one (RFC 8201 section 4).
      expect(sender.entry.fit.outerMtu).to.equal(cell.outside === 4 ? 552 : 1300);
      sender.bench.run(sender.packet(1250));
      for (const piece of sender.bench.raw.take()) {
        expect(piece.length).to.be.at.most(sender.entry.fit.outerMtu);
      }
      sender.entry.fit.refresh(600_001 + bench.routing.now);
      expect(sender.entry.fit.outerMtu).to.equal(1500);
    });

    it('is lowered ten times a second at the most; messages that quote nothing of ours keep no other out', () => {
      const sender = new Sender(cell, 1500);
      const bench = new MessageBench(sender);
      sender.bench.run(sender.packet(1200));
      const [sent] = sender.bench.raw.take() as [Buffer];
      const wrong = Buffer.from(sent);
      wrong.writeUInt8(9, cell.outside === 4 ? 19 : 39);
      for (let n = 0; n < 1000; n++) bench.say(1300, wrong);
      for (const mtu of [1400, 1399, 1398]) bench.say(mtu, sent);
      bench.routing.now += 99;
      bench.say(1350, sent);
      expect(sender.entry.fit.outerMtu).to.equal(1400);
      bench.routing.now += 1;
      bench.say(1350, sent);
      expect(sender.entry.fit.outerMtu).to.equal(1350);
    });

    it('is told again while somebody sends packets that are too long', () => {
      const sender = new Sender(cell, 1500);
      const bench = new MessageBench(sender);
      sender.bench.run(sender.packet(1200));
      const [sent] = sender.bench.raw.take() as [Buffer];
      for (const mtu of [1400, 1400, 1400]) {
        bench.say(mtu, sent);
        bench.routing.now += 100;
      }
      expect(bench.lowered).to.deep.equal([1400, 1400, 1400]);
      expect(bench.news).to.deep.equal([true, false, false]);
    });

    it('of our own link is not what a message can tell', () => {
      const sender = new Sender(cell, 1500);
      const bench = new MessageBench(sender);
      sender.bench.run(sender.packet(1200));
      bench.say(1500, sender.bench.raw.take()[0] as Buffer);
      expect(bench.lowered).to.deep.equal([]);
    });
  });
}

/** A routing host that hears routers on the way of a sender's packets. */
class MessageBench {
  readonly lowered: number[] = [];
  readonly news: boolean[] = [];
  readonly routing: RoutingBench;
  readonly #cell: Cell;

  constructor({ cell, bench }: Sender) {
    this.#cell = cell;
    const messages = new PathMtuMessages({
      sad: bench.sad,
      onHeard: ({ fit }, isNews) => {
        this.lowered.push(fit.outerMtu);
        this.news.push(isNews);
      },
    });
    this.routing = new RoutingBench([0], [addressesOf(cell).endpoint], messages);
  }

  say(mtu: number, quote: Buffer): void {
    const { endpoint } = addressesOf(this.#cell);
    const is4 = this.#cell.outside === 4;
    const router = is4 ? '192.0.2.254' : '2001:db8:fe::1';
    const part = quote.subarray(0, is4 ? 548 : 1200);
    const payload = Buffer.concat([Buffer.alloc(8), part]);
    const [source, destination] = [addr(router), addr(endpoint)];
    if (is4) encodeFragmentationNeeded(payload, 0, mtu, part.length);
    else
      encodeIcmpv6Error(payload, 0, {
        type: 2,
        parameter: mtu,
        quoteBytes: part.length,
        source,
        destination,
      });
    const protocol = is4 ? IP_PROTOCOL.ICMP : IP_PROTOCOL.ICMPV6;
    this.routing.run(ipPacket({ source: router, destination: endpoint, protocol, payload }));
  }
}

describe('datagrams of 64 KB', () => {
  for (const cell of CELLS.filter(({ mode }) => mode === 'transport')) {
    it(`wait for numbers and go out whole: ${titleOf(cell)}`, () => {
      const sender = new Sender(cell, 1500);
      sender.bench.grant(sender.entry, 4097, 1, 2);
      const whole = sender.packet(64_000);
      const { bench, entry } = sender;
      entry.holder.take(4096, bench.now);
      for (const piece of piecesOf(whole, cell.inside, 1360)) bench.run(piece);
      bench.grant(entry, 9000, 64, 3);
      const sent = bench.raw.take();
      expect(counted(bench.drops)).to.deep.equal({});
      for (const piece of sent) expect(piece.length).to.be.at.most(1500);
      expect(hexOf(sender.received(sent))).to.deep.equal(hexOf([wantedOf(whole, cell)]));
    });
  }
});

function synOf(source: string, destination: string, mss: number): Buffer {
  const [from, to] = [addr(source), addr(destination)];
  const payload = Buffer.alloc(24);
  encodeTcp(payload, 0, { sourcePort: 80, destinationPort: 4000, flags: SYN });
  payload.writeUInt8(0x60, 12);
  payload.writeUInt16BE(0x0204, 20);
  payload.writeUInt16BE(mss, 22);
  writeTcpChecksum(payload, 0, payload.length, from, 0, to, 0);
  return ipPacket({ source, destination, protocol: IP_PROTOCOL.TCP, payload });
}

/** Fragments of an inner packet as a kernel makes them. */
function piecesOf(packet: Buffer, family: 4 | 6, mtu: number): Buffer[] {
  const headerBytes = ipHeaderBytes(family) + (family === 6 ? 8 : 0);
  const data = packet.subarray(ipHeaderBytes(family));
  const room = (mtu - headerBytes) & ~7;
  const pieces: Buffer[] = [];
  for (let done = 0; done < data.length; done += room) {
    const part = data.subarray(done, done + room);
    const isLast = done + room >= data.length;
    const piece = Buffer.alloc(headerBytes + part.length);
    packet.copy(piece, 0, 0, ipHeaderBytes(family));
    part.copy(piece, headerBytes);
    if (family === 4) {
      piece.writeUInt16BE(piece.length, 2);
      setField4(piece, 0x1234, (isLast ? 0 : 0x2000) | (done >> 3));
    } else {
      piece.writeUInt16BE(piece.length - 40, 4);
      piece.writeUInt8(44, 6);
      piece.writeUInt8(packet.readUInt8(6), 40);
      piece.writeUInt16BE(done | (isLast ? 0 : 1), 42);
      piece.writeUInt32BE(0x1234, 44);
    }
    pieces.push(piece);
  }
  return pieces;
}
