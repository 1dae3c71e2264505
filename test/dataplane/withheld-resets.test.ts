import { expect } from 'chai';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { counted } from '../support/dataplane-parts.ts';
import { ACK, addr, DVIPA, RST, reply, SYN } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { OutboundBench } from './outbound-bench.ts';

const PEER = '10.1.1.1';

const setUp = ({ isComplete }: { isComplete: boolean }) => {
  const bench = new OutboundBench();
  const entry = bench.install(testSa({ spi: 0xc100_0001, direction: 'out' }));
  bench.grant(entry, 1, 64);
  bench.withheld.setComplete(addr(DVIPA), isComplete);
  /** A segment of the peer that this target has seen, authenticated. */
  const seen = (flags: number, changes: { group?: number; sourcePort?: number } = {}) => {
    const key = { ...newConnectionKey(), group: entry.sa.group, sourcePort: 40_000, ...changes };
    Object.assign(key, { dvipa: addr(DVIPA), source: addr(PEER), protocol: 6, destinationPort: 80 });
    bench.flows.observe(key, flags, true, 0);
  };
  /** What became of a segment of our kernel. */
  const outcome = (flags: number) => {
    bench.run(reply({ flags }));
    bench.grant(entry, 1000, 64);
    return counted(bench.drops)['reset-withheld'] === 1
      ? 'withheld'
      : bench.raw.take().length === 1
        ? 'sent'
        : '?';
  };
  return { bench, entry, seen, outcome };
};

describe('withheld resets', () => {
  it("are the kernel's answers to segments of connections that nobody knows here, while some are not listed", () => {
    expect(setUp({ isComplete: false }).outcome(RST)).to.equal('withheld');
    expect(setUp({ isComplete: false }).outcome(RST | ACK)).to.equal('withheld');
  });

  it('are none when all connections are known: then the answer is right', () => {
    expect(setUp({ isComplete: true }).outcome(RST)).to.equal('sent');
  });

  it('are none in answer to a SYN: nobody listens, and the peer shall know', () => {
    const { seen, outcome } = setUp({ isComplete: false });
    seen(SYN);
    expect(outcome(RST | ACK)).to.equal('sent');
  });

  it('are none of a connection that is known here: the application has closed it', () => {
    const { bench, entry, seen, outcome } = setUp({ isComplete: false });
    seen(SYN);
    const key = { ...newConnectionKey(), group: entry.sa.group, protocol: 6, sourcePort: 40_000 };
    bench.flows.observe(
      { ...key, dvipa: addr(DVIPA), source: addr(PEER), destinationPort: 80 },
      SYN | ACK,
      false,
      0,
    );
    expect(outcome(RST)).to.equal('sent');
  });

  it('are not let through by a connection of other ports, or of a peer that looks alike', () => {
    for (const other of [{ sourcePort: 40_001 }, { group: 99 }]) {
      const { seen, outcome } = setUp({ isComplete: false });
      seen(SYN, other);
      expect(outcome(RST)).to.equal('withheld');
    }
  });

  it('leave other segments alone', () => {
    for (const flags of [ACK, SYN | ACK, 0x11])
      expect(setUp({ isComplete: false }).outcome(flags)).to.equal('sent');
  });

  it('are so again when the session is lost: nobody tells what happens meanwhile', () => {
    const { bench, outcome } = setUp({ isComplete: true });
    bench.withheld.forget();
    expect(outcome(RST)).to.equal('withheld');
  });

  it('use up no number', () => {
    const { bench, entry } = setUp({ isComplete: false });
    bench.grant(entry, 1, 64);
    bench.run(reply({ flags: RST }));
    expect(bench.outboundSeen).to.deep.equal([]);
  });
});
