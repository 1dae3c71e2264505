import { expect } from 'chai';
import { KEEP } from '../../src/base/verdict.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { takeCommitted } from '../../src/dataplane/committed-packet.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { LINK_FLAG, LINK_KIND, type LinkOpener } from '../../src/ipsec/link-seal.ts';
import { counted, type LinkPacket, outcomes, vectorOf } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { ACK, addr, DVIPA, espInUdp, tcp } from '../support/inner-packets.ts';
import { LinkHeader, openOne } from '../support/link-seal.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';
import { type InstallOptions, RoutingBench } from './routing-bench.ts';

const SPI = 0xc000_0001;
const [FIRST, SECOND] = [40_001, 40_002];

/** Inner packets whose connections go to targets 0 and 1. */
const segment = (sourcePort: number, data = 'x') => tcp({ sourcePort, flags: ACK, data });

function setUp(options: InstallOptions = {}, sa: Partial<SaTest> = {}) {
  const bench = new RoutingBench();
  const entry = bench.install(testSa({ spi: SPI, ...sa }), options);
  const peer = new EspPeer('aes128gcm16', SPI);
  const sealed = (port: number, sequence: number) => espInUdp(peer.seal(segment(port), sequence));
  const key = { dvipa: addr(DVIPA), group: 1, protocol: 6, source: addr('10.1.1.1'), destinationPort: 80 };
  for (const [target, sourcePort] of [FIRST, SECOND].entries()) {
    bench.distributor.confirm({ ...key, sourcePort }, target, bench.now);
  }
  return { bench, entry, peer, sealed };
}

/** With a wrong ICV, whatever the header shows. */
function forged(datagram: Buffer): Buffer {
  const copy = Buffer.from(datagram);
  const last = copy.length - 1;
  copy[last] = (copy[last] as number) ^ 1;
  return copy;
}

/** What a target reads from a sealed packet. */
function openLink(bench: RoutingBench, { peer, protocol, epoch, bytes }: LinkPacket) {
  expect(protocol).to.equal(LINK_PROTOCOL.SEALED);
  const vector = vectorOf(bytes);
  const header = new LinkHeader();
  expect(openOne(bench.openers[peer] as LinkOpener, vector, 0, epoch, header)).to.equal(KEEP);
  expect(header.kind).to.equal(LINK_KIND.COMMITTED);
  expect(takeCommitted(vector, 0)).to.equal(KEEP);
  return {
    target: peer,
    spi: vector.spi[0],
    number: vector.sequenceLow[0],
    group: header.group,
    isFallback: (header.flags & LINK_FLAG.FALLBACK) !== 0,
    inner: Buffer.from(vector.packet(0)),
  };
}

describe('opening-inbound, a number that another target was given', () => {
  it('is asked back, and the genuine copy goes to its own target, once', () => {
    const { bench, entry, sealed } = setUp();
    const genuine = sealed(FIRST, 5);
    bench.run(forged(sealed(SECOND, 5)));
    expect(bench.link.take().map(({ peer }) => peer)).to.deep.equal([1]);
    expect(outcomes(bench.run(genuine, genuine))).to.deep.equal(['elsewhere', 'elsewhere']);
    expect(bench.claims).to.deep.equal(['1: 0/5']);
    expect(bench.link.sent).to.have.lengthOf(0);
    expect(bench.opening.claimAnswered(entry, 1, 0, 5, true)).to.equal(true);
    const delivered = bench.link.take().map((packet) => openLink(bench, packet));
    expect(delivered).to.deep.equal([
      { target: 0, spi: SPI, number: 5, group: 1, isFallback: false, inner: segment(FIRST) },
    ]);
    expect(outcomes(bench.run(genuine))).to.deep.equal(['replay']);
    expect(counted(bench.drops)).to.deep.equal({ replay: 2 });
    expect(entry.meter.packets).to.equal(1);
  });

  it('counts for the lifesize like a packet that had not to wait, padding included', () => {
    const padded = Buffer.concat([segment(FIRST), Buffer.alloc(100)]);
    const bytes = [false, true].map((isConflict) => {
      const { bench, entry, peer, sealed } = setUp(isConflict ? {} : { serving: [1], isFallbackReady: true });
      if (isConflict) bench.run(forged(sealed(SECOND, 5)));
      bench.run(espInUdp(peer.seal(padded, 5)));
      if (isConflict) bench.opening.claimAnswered(entry, 1, 0, 5, true);
      return entry.meter.bytes;
    });
    expect(bytes).to.deep.equal([padded.length, padded.length]);
  });

  it('is not delivered again when the other target has it', () => {
    const { bench, entry, peer } = setUp();
    bench.run(espInUdp(peer.seal(segment(SECOND), 5)));
    bench.link.take();
    bench.distributor.table.removeTarget(1); // the connection goes elsewhere from now on
    bench.distributor.setDraining(1, true);
    bench.run(espInUdp(peer.seal(segment(SECOND), 5)));
    expect(bench.claims).to.deep.equal(['1: 0/5']);
    expect(bench.opening.claimAnswered(entry, 1, 0, 5, false)).to.equal(true);
    entry.owners.reported(1, packNumbers([5n]), 1);
    expect(bench.link.sent).to.have.lengthOf(0);
    expect([counted(bench.drops), entry.meter.packets]).to.deep.equal([{ replay: 1 }, 0]);
  });

  it('is asked for by nobody who has no genuine packet', () => {
    const { bench, entry, sealed } = setUp();
    bench.run(sealed(FIRST, 5));
    bench.link.take();
    bench.run(forged(sealed(SECOND, 5)));
    expect(bench.claims).to.deep.equal([]);
    expect(counted(bench.drops)).to.deep.equal({ icv: 1 });
    expect(entry.owners.reported(0, packNumbers([5n]), 1).committed).to.equal(1);
  });

  it('waits on when a target answers that was not asked', () => {
    const { bench, entry, sealed } = setUp();
    bench.run(forged(sealed(SECOND, 5)));
    bench.link.take();
    bench.run(sealed(FIRST, 5));
    for (const isGiven of [true, false])
      expect(bench.opening.claimAnswered(entry, 0, 0, 5, isGiven)).to.equal(false);
    expect([bench.opening.waiting, bench.link.sent.length]).to.deep.equal([1, 0]);
    expect(bench.opening.claimAnswered(entry, 1, 0, 5, true)).to.equal(true);
    expect(bench.link.sent).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('is undecided for ever when the other target is lost meanwhile', () => {
    const { bench, entry, sealed } = setUp();
    bench.run(forged(sealed(SECOND, 5)));
    bench.link.take();
    bench.run(sealed(FIRST, 5));
    bench.opening.targetLost(1);
    entry.owners.targetLost(1);
    expect(bench.opening.claimAnswered(entry, 1, 0, 5, true)).to.equal(false);
    expect(bench.link.sent).to.have.lengthOf(0);
    expect(counted(bench.drops)).to.deep.equal({ 'replay-undecided': 1 });
  });

  it('waits for the answer half a second, and is dropped then', () => {
    const { bench, entry, sealed } = setUp();
    bench.run(forged(sealed(SECOND, 5)));
    bench.link.take();
    bench.run(sealed(FIRST, 5));
    bench.opening.tick(bench.now + 499);
    expect(bench.opening.waiting).to.equal(1);
    bench.opening.tick(bench.now + 501);
    expect(counted(bench.drops)).to.deep.equal({ 'replay-conflict': 1 });
    expect(bench.opening.claimAnswered(entry, 1, 0, 5, true), 'late, not wrong').to.equal(true);
    expect(bench.link.sent).to.have.lengthOf(0);
    expect(outcomes(bench.run(sealed(FIRST, 5)))).to.deep.equal(['replay']);
  });

  it('waits with 31 others of its SA at most; nothing is asked for what cannot wait', () => {
    const { bench, sealed } = setUp();
    for (let number = 1; number <= 40; number++) bench.run(forged(sealed(SECOND, number)));
    bench.link.take();
    for (let number = 1; number <= 40; number++) bench.run(sealed(FIRST, number));
    expect(bench.claims).to.have.lengthOf(32);
    expect(counted(bench.drops)).to.deep.equal({ 'replay-conflict': 8 });
  });
});

describe('opening-inbound, a number whose place another unsettled one has', () => {
  it('is settled here and goes to its target', () => {
    const { bench, entry, sealed } = setUp({ ringSlots: 128 }, { replayWindowPackets: 1024 });
    bench.run(forged(sealed(FIRST, 5 + 128)));
    bench.link.take();
    bench.run(sealed(FIRST, 5));
    const [packet] = bench.link.take().map((sent) => openLink(bench, sent));
    expect(packet).to.deep.include({ target: 0, number: 5, inner: segment(FIRST) });
    expect(entry.owners.top).to.equal(5n);
    expect(outcomes(bench.run(sealed(FIRST, 5)))).to.deep.equal(['replay']);
  });

  it('moves no window if it is forged', () => {
    const { bench, entry, sealed } = setUp({ ringSlots: 128 }, { replayWindowPackets: 1024 });
    bench.run(sealed(FIRST, 5), forged(sealed(FIRST, 5 + 128)));
    expect(entry.owners.top).to.equal(0n);
    expect([counted(bench.drops), entry.meter.packets]).to.deep.equal([{ icv: 1 }, 0]);
  });
});

describe('opening-inbound, within a budget', () => {
  it('drops a conflict beyond it as replay-conflict, once', () => {
    const { bench, sealed } = setUp();
    const numbers = Array.from({ length: 200 }, (_, i) => i + 1);
    bench.run(...numbers.map((number) => sealed(FIRST, number)));
    bench.link.take();
    bench.run(...numbers.map((number) => forged(sealed(SECOND, number))));
    const { icv = 0, 'replay-conflict': conflict = 0 } = counted(bench.drops);
    expect(icv + conflict).to.equal(200);
    expect(icv).to.equal(50); // half of 100 in 10 ms: the other half is for the next SA
    expect(bench.budget.refused).to.equal(150);
  });
});

describe('opening-inbound, while packets of an SA are forged in masses', () => {
  const attacked = (options: InstallOptions = {}) => {
    const made = setUp(options);
    made.entry.suspicion.wrong(100, made.bench.now);
    return made;
  };

  it('verifies what no target has confirmed, and makes no entry for forged ones', () => {
    const { bench, entry, peer } = attacked();
    const syn = (sourcePort: number) => espInUdp(peer.seal(tcp({ sourcePort }), sourcePort));
    bench.run(forged(syn(50_001)), syn(50_002), forged(syn(50_003)));
    const [packet, ...others] = bench.link.take().map((sent) => openLink(bench, sent));
    expect(others).to.have.lengthOf(0);
    expect(packet?.inner.equals(tcp({ sourcePort: 50_002 }))).to.equal(true);
    expect(counted(bench.drops)).to.deep.equal({ icv: 2 });
    expect(bench.distributor.table.tentativeCount).to.equal(1);
    expect([entry.openedHere, bench.opening.opened]).to.deep.equal([1, 1]);
  });

  it('lets confirmed connections pass unopened', () => {
    const { bench, sealed } = attacked();
    const datagram = sealed(FIRST, 5);
    bench.run(datagram);
    expect(bench.link.take().map(({ bytes }) => bytes.equals(datagram))).to.deep.equal([true]);
    expect(bench.opening.opened).to.equal(0);
  });

  it('passes unconfirmed ones on unverified beyond the budget, without an entry', () => {
    const { bench, peer } = attacked();
    const ports = Array.from({ length: 60 }, (_, i) => 50_000 + i);
    bench.run(...ports.map((sourcePort, i) => espInUdp(peer.seal(tcp({ sourcePort }), i + 1))));
    const protocols = bench.link.take().map(({ protocol }) => protocol);
    expect(protocols.filter((protocol) => protocol === LINK_PROTOCOL.SEALED)).to.have.lengthOf(50);
    expect(protocols.filter((protocol) => protocol === LINK_PROTOCOL.OUTER_IPV4)).to.have.lengthOf(10);
    expect(bench.distributor.table.tentativeCount).to.equal(50);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('is raised by wrong ICVs that are found here, told once, and ends by itself', () => {
    const { bench, entry, sealed } = setUp();
    const numbers = Array.from({ length: 48 }, (_, i) => i + 1);
    bench.run(...numbers.map((number) => sealed(FIRST, number)));
    bench.run(...numbers.map((number) => forged(sealed(SECOND, number))));
    expect(bench.suspicions).to.equal(1);
    expect(entry.suspicion.isRaised(bench.now)).to.equal(true);
    expect(entry.suspicion.isRaised(bench.now + 5000)).to.equal(false);
  });
});

describe('opening-inbound, for targets that do not serve the SA', () => {
  it('says that packets wait, until it may open them', () => {
    const { bench, entry, sealed } = setUp({ serving: [] });
    bench.run(sealed(FIRST, 5));
    expect(bench.starved).to.deep.equal([SPI]);
    bench.inbound.tick(bench.now + 50);
    expect(bench.starved).to.deep.equal([SPI, SPI]);
    entry.isFallbackReady = true;
    bench.inbound.release(SPI, bench.now + 60);
    const [packet] = bench.link.take().map((sent) => openLink(bench, sent));
    expect(packet).to.deep.include({ target: 0, number: 5, isFallback: true, inner: segment(FIRST) });
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('opens for those only; others get the packet as it came', () => {
    const { bench, sealed } = setUp({ serving: [1], isFallbackReady: true });
    bench.run(sealed(FIRST, 5), sealed(SECOND, 6));
    expect(bench.link.take().map(({ peer, protocol }) => [peer, protocol])).to.deep.equal([
      [1, LINK_PROTOCOL.OUTER_IPV4],
      [0, LINK_PROTOCOL.SEALED],
    ]);
  });

  it('filters what it opens where the DVIPA is filtered on the routing host', () => {
    const denied = [{ action: 'deny', protocol: 6, fromPort: 80, toPort: 80 }] as const;
    const { bench, sealed } = setUp({
      serving: [],
      isFallbackReady: true,
      filterMode: 'filter',
      rules: denied,
    });
    bench.run(sealed(FIRST, 5));
    expect(counted(bench.drops)).to.deep.equal({ filter: 1 });
  });

  it('checks the authenticated packet against the selectors, and spends its number', () => {
    const { bench, entry, peer } = setUp({ serving: [], isFallbackReady: true });
    bench.run(espInUdp(peer.seal(tcp({ source: '10.9.9.9', flags: ACK }), 5)));
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 1 });
    expect(bench.link.sent).to.have.lengthOf(0);
    expect(entry.openedHere).to.equal(0); // the peek was enough
  });

  it('counts what it opens against the hard limit', () => {
    const { bench, sealed } = setUp({ serving: [], isFallbackReady: true, hardPackets: 2 });
    bench.run(sealed(FIRST, 1), sealed(FIRST, 2), sealed(FIRST, 3));
    expect(bench.link.take()).to.have.lengthOf(2);
    expect(counted(bench.drops)).to.deep.equal({ 'hard-limit': 1 });
  });

  it('does not deliver a replay of what it opened', () => {
    const { bench, sealed } = setUp({ serving: [], isFallbackReady: true });
    bench.run(sealed(FIRST, 5), sealed(FIRST, 5));
    bench.run(sealed(FIRST, 5));
    expect(bench.link.take()).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({ replay: 2 });
  });
});
