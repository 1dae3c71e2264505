import { expect } from 'chai';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { FlowTracker } from '../../src/connections/flow-tracker.ts';
import {
  ACK,
  FIN,
  RST,
  SYN,
  TCP_ESTABLISHED,
  TCP_NONE,
  TCP_OPENING,
} from '../../src/connections/tcp-state.ts';
import { addr } from '../support/inner-packets.ts';

const flow = (sourcePort: number, more = {}) => ({
  ...newConnectionKey(),
  dvipa: addr('203.0.113.10'),
  group: 1,
  protocol: 6,
  source: addr('10.1.1.1'),
  sourcePort,
  destinationPort: 80,
  ...more,
});
const IN = true;
const OUT = false;

function trackerOf(maxFlows = 64): FlowTracker {
  return new FlowTracker({ seed: new Uint8Array(8), maxFlows, idleMs: 900_000 });
}

function ports(keys: readonly { sourcePort: number }[] | undefined): number[] {
  return (keys ?? []).map(({ sourcePort }) => sourcePort);
}

/** Runs segments, returns the ports reported opened and closed after each. */
function run(tracker: FlowTracker, segments: readonly [number, boolean][], now = 0): string[] {
  return segments.map(([flags, isInbound]) => {
    tracker.observe(flow(1), flags, isInbound, now);
    const events = tracker.take(512);
    return `${ports(events?.opened).length}${ports(events?.closed).length}`;
  });
}

describe('flow tracker', () => {
  it('reports a connection as open when our own host has answered, and as closed after both FINs', () => {
    const conversation: [number, boolean][] = [
      [SYN, IN],
      [SYN | ACK, OUT],
      [ACK, IN],
      [ACK, OUT],
      [FIN | ACK, IN],
      [ACK, OUT],
      [FIN | ACK, OUT],
      [ACK, IN],
      [FIN | ACK, OUT],
    ];
    expect(run(trackerOf(), conversation)).deep.equal(['00', '10', '00', '00', '00', '00', '01', '00', '00']);
  });

  it('never reports a connection that our host refuses', () => {
    expect(
      run(trackerOf(), [
        [SYN, IN],
        [RST | ACK, OUT],
        [SYN, IN],
        [RST | ACK, OUT],
      ]),
    ).deep.equal(['00', '00', '00', '00']);
  });

  it('reports a reset at once, and the connection again if it lives on (RFC 5961)', () => {
    expect(
      run(trackerOf(), [
        [SYN, IN],
        [SYN | ACK, OUT],
        [RST, IN],
        [ACK, OUT],
      ]),
    ).deep.equal(['00', '10', '01', '10']);
  });

  it('reports a new connection with the same ports', () => {
    const segments: [number, boolean][] = [
      [SYN, IN],
      [SYN | ACK, OUT],
      [FIN | ACK, IN],
      [FIN | ACK, OUT],
      [SYN, IN],
      [SYN | ACK, OUT],
    ];
    expect(run(trackerOf(), segments)).deep.equal(['00', '10', '00', '01', '00', '10']);
  });

  it('picks up a connection in the middle by what our host sends, not by what comes in', () => {
    expect(
      run(trackerOf(), [
        [ACK, IN],
        [ACK, OUT],
      ]),
    ).deep.equal(['00', '10']);
  });

  it('reports a connection that our own host opens', () => {
    expect(
      run(trackerOf(), [
        [SYN, OUT],
        [SYN | ACK, IN],
      ]),
    ).deep.equal(['10', '00']);
  });

  it('passes over other protocols', () => {
    const tracker = trackerOf();
    tracker.observe(flow(1, { protocol: 1 }), SYN, OUT, 0);
    expect(tracker.size).equal(0);
  });

  it('has a pseudo-connection of UDP once our own host answers, and until it is idle for two minutes', () => {
    const tracker = trackerOf();
    const udp = flow(1, { protocol: 17 });
    tracker.observe(udp, 0, IN, 0);
    expect(tracker.take(512), 'nobody has answered').equal(undefined);
    tracker.observe(udp, 0, OUT, 10);
    expect(ports(tracker.take(512)?.opened)).deep.equal([1]);
    tracker.observe(udp, 0, IN, 60_000);
    tracker.sweep(179_999, 1024);
    expect(ports(tracker.take(512)?.closed)).deep.equal([]);
    tracker.sweep(400_000, 1024);
    expect(ports(tracker.take(512)?.closed)).deep.equal([1]);
    expect(tracker.size).equal(0);
  });

  it('lists everything in parts on demand, in place of what was waiting', () => {
    const tracker = trackerOf();
    for (let port = 0; port < 10; port++) tracker.observe(flow(port), ACK, OUT, 0);
    tracker.listAll();
    const parts = [tracker.take(4), tracker.take(4), tracker.take(4), tracker.take(4)];
    expect(parts.map((part) => [part?.opened.length, part?.full])).deep.equal([
      [4, true],
      [4, false],
      [2, false],
      [undefined, undefined],
    ]);
  });

  it('reports an empty list too: it says that nothing is open', () => {
    const tracker = trackerOf();
    tracker.listAll();
    expect(tracker.take(4)).deep.equal({ opened: [], closed: [], full: true });
    expect(tracker.take(4)).equal(undefined);
  });

  it('is bounded, and counts what found no room', () => {
    const tracker = trackerOf(8);
    for (let port = 0; port < 20; port++) tracker.observe(flow(port), ACK, OUT, 0);
    expect([tracker.size, tracker.overflow]).deep.equal([8, 12]);
    expect(tracker.take(512)?.opened).have.length(8);
  });

  it('lists connections again that are in use, and closes idle ones', () => {
    const tracker = trackerOf();
    tracker.observe(flow(1), ACK, OUT, 0);
    tracker.observe(flow(2), ACK, OUT, 0);
    tracker.take(512);
    tracker.observe(flow(1), ACK, OUT, 100_000);
    tracker.sweep(150_000, 128);
    expect(ports(tracker.take(512)?.opened)).deep.equal([1]);
    tracker.sweep(300_000, 128);
    expect(tracker.take(512)).equal(undefined);
    tracker.sweep(900_000, 128);
    expect(ports(tracker.take(512)?.closed)).deep.equal([2]);
    expect(tracker.size).equal(1);
  });

  it('forgets connections that never opened or are over', () => {
    const tracker = trackerOf();
    tracker.observe(flow(1), SYN, IN, 0);
    tracker.sweep(60_000, 128);
    expect(tracker.size).equal(0);
    expect(tracker.hasEvents).equal(false);
  });

  it('closes the connections of an SA group that is gone', () => {
    const tracker = trackerOf();
    for (let port = 0; port < 10; port++) tracker.observe(flow(port, { group: port % 2 }), ACK, OUT, 0);
    tracker.take(512);
    tracker.removeGroup(0);
    expect(ports(tracker.take(512)?.closed).toSorted((a, b) => a - b)).deep.equal([0, 2, 4, 6, 8]);
    expect(tracker.size).equal(5);
  });

  it('says what it knows of a connection, and that it knows nothing of others', () => {
    const tracker = trackerOf();
    tracker.observe(flow(1), ACK, IN, 0); // the middle of a connection that is none of ours
    expect(tracker.stateOf(flow(1))).to.equal(TCP_NONE);
    tracker.observe(flow(1), SYN, IN, 0);
    expect(tracker.stateOf(flow(1))).to.equal(TCP_OPENING);
    tracker.observe(flow(1), SYN | ACK, OUT, 0);
    expect(tracker.stateOf(flow(1))).to.equal(TCP_ESTABLISHED);
    for (const other of [flow(2), flow(1, { group: 2 }), flow(1, { source: addr('10.1.1.2') })])
      expect(tracker.stateOf(other)).to.equal(TCP_NONE);
  });

  it('tells when our own kernel refuses an opening, not of other resets', () => {
    let refused = 0;
    const tracker = new FlowTracker({ seed: new Uint8Array(8), onRefused: () => refused++ });
    const after = (port: number, ...segments: [number, boolean][]) => {
      for (const [flags, isInbound] of segments) tracker.observe(flow(port), flags, isInbound, 0);
      return refused;
    };
    expect(after(1, [RST, OUT])).to.equal(0);
    expect(after(2, [SYN, IN], [RST, IN])).to.equal(0);
    expect(after(3, [SYN, IN], [SYN | ACK, OUT], [RST, OUT])).to.equal(0);
    expect(after(4, [SYN, IN], [RST | ACK, OUT])).to.equal(1);
    expect(after(4, [RST | ACK, OUT])).to.equal(1);
    expect(after(4, [SYN, IN], [RST | ACK, OUT])).to.equal(2);
  });
});
