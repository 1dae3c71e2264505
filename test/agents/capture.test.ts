import { expect } from 'chai';
import { captureAnswer } from '../../src/agents/capture-answers.ts';
import { parseCaptureRequest } from '../../src/agents/capture-request.ts';
import { CAPTURE_RING, CaptureSession } from '../../src/agents/capture-session.ts';
import { KEEP, verdictOf } from '../../src/base/verdict.ts';
import { PacketTap } from '../../src/dataplane/packet-tap.ts';
import { CaptureFile } from '../../src/observe/capture-file.ts';
import type { CaptureItem } from '../../src/observe/capture-item.ts';
import type { Log } from '../../src/observe/log.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { MARKER } from '../support/cluster/client.ts';
import { addr, DVIPA } from '../support/inner-packets.ts';
import { connection } from './cluster-helpers.ts';

const DENY_WEB = { action: 'deny', protocol: 'tcp', ports: { from: 80, to: 80 } } as const;
const subject = { spi: 1, peer: addr('192.0.2.101'), dvipa: addr(DVIPA) };

/** All that waits, and the end of the session. */
async function collected(session: CaptureSession): Promise<CaptureItem[]> {
  const items: CaptureItem[] = [];
  const none = Symbol('none');
  for (;;) {
    const next = await Promise.race([
      session.next(),
      new Promise<typeof none>((resolve) => setImmediate(() => resolve(none))),
    ]);
    if (next === none || next.done === true) break;
    items.push(next.value);
  }
  await session.return();
  return items;
}

function start(tap: PacketTap, args: object = {}): CaptureSession {
  let time = 0n;
  return new CaptureSession(tap, parseCaptureRequest({ ...args }), () => ++time);
}

const points = (items: readonly CaptureItem[]) =>
  items.map(({ point, comment }) => (comment === undefined ? point : `${point} ${comment}`));

describe('dvipa capture', () => {
  it('shows a packet that the routing host’s filter drops as it came, with the reason', async () => {
    const cluster = new MemoryCluster({ targets: 1, dvipa: { inboundFilter: 'filter', rules: [DENY_WEB] } });
    await cluster.up();
    const session = start(cluster.router.host.tap);
    const { datagram } = cluster.client(1).open();
    cluster.send(datagram);
    await cluster.run(10);
    const items = await collected(session);
    expect(points(items)).to.deep.equal(['route/outside-in dropped: filter']);
    expect(Buffer.from(items[0]?.bytes ?? '', 'base64').equals(datagram)).to.equal(true);
    cluster.close();
  });

  it('shows the way of a packet through both hosts; plaintext only where it was asked for', async () => {
    for (const inner of [false, true]) {
      const cluster = new MemoryCluster({ targets: 1 });
      await cluster.up();
      const router = start(cluster.router.host.tap, { inner });
      const target = start(cluster.target(1).parts.tap, { inner });
      expect((await connection(cluster)).at).to.equal(1);
      expect(points(await collected(router))).to.deep.equal(['route/outside-in', 'route/link-out']);
      const seen = await collected(target);
      // The first answer waits for a lease.
      const waits = 'target/tun-in held, or on another way';
      expect(points(seen)).to.deep.equal(
        inner
          ? ['target/link-in', 'target/opened', 'target/tun-out', waits, 'target/sealed']
          : ['target/link-in', 'target/sealed'],
      );
      const isPlain = seen.some(({ bytes }) => Buffer.from(bytes, 'base64').includes(MARKER));
      expect(isPlain).to.equal(inner);
      cluster.close();
    }
  });

  it('leaves nothing at the tap when its client has gone, even while it waits', async () => {
    const tap = new PacketTap();
    const session = start(tap);
    const waiting = session.next();
    expect(tap.isOn).to.equal(true);
    await session.return();
    expect(await waiting).to.deep.equal({ done: true, value: undefined });
    expect(tap.isOn).to.equal(false);
  });

  it('loses what does not fit its ring, counts it, and tells with the next packet', async () => {
    const tap = new PacketTap();
    const session = start(tap);
    for (let i = 0; i < CAPTURE_RING.packets + 5; i++)
      session.take('route/outside-in', Buffer.alloc(10), KEEP, subject);
    const file = new CaptureFile(65_535);
    for (let i = 0; i < CAPTURE_RING.packets; i++) {
      const { value } = await session.next();
      file.packet(value as CaptureItem);
    }
    expect([file.packets, file.lost]).to.deep.equal([CAPTURE_RING.packets, 0]);
    session.take('route/outside-in', Buffer.alloc(10), KEEP, subject);
    file.packet((await session.next()).value as CaptureItem);
    expect(file.lost).to.equal(5);
  });

  it('gives no more of a packet than was asked for, and its whole length', async () => {
    const session = start(new PacketTap(), { snapLength: 64 });
    session.take('route/outside-in', Buffer.alloc(1000, 7), KEEP, subject);
    const [item] = await collected(session);
    expect([Buffer.from(item?.bytes ?? '', 'base64').length, item?.length]).to.deep.equal([64, 1000]);
  });

  for (const [args, isSeen] of [
    [{ dropsOnly: true }, true],
    [{ reason: 'filter' }, true],
    [{ reason: 'replay' }, false],
    [{ spi: '00000001' }, true],
    [{ spi: '00000002' }, false],
    [{ peer: '192.0.2.101' }, true],
    [{ peer: '192.0.2.102' }, false],
    [{ dvipa: DVIPA, peer: '192.0.2.101', spi: '00000001' }, true],
    [{ dvipa: '203.0.113.11' }, false],
  ] as const) {
    it(`with ${JSON.stringify(args)} ${isSeen ? 'shows' : 'does not show'} a dropped packet of the SA`, async () => {
      const session = start(new PacketTap(), args);
      session.take('route/outside-in', Buffer.alloc(10), verdictOf('filter'), subject);
      session.take('route/outside-in', Buffer.alloc(10), KEEP, {
        ...subject,
        spi: 9,
        peer: undefined,
        dvipa: undefined,
      });
      expect((await collected(session)).length).to.equal(isSeen ? 1 : 0);
    });
  }

  it('of plaintext leaves a line in the log as a warning, and runs four at a time at most', async () => {
    const lines: string[] = [];
    const log = { warn: (text: string) => lines.push(`warn ${text}`), info: () => {} } as unknown as Log;
    const answer = captureAnswer(new PacketTap(), log);
    const sessions = [{ inner: true }, {}, {}, {}].map((args) => answer(args) as CaptureSession);
    expect(lines).to.deep.equal(['warn plaintext of SAs is captured']);
    expect(() => answer({})).to.throw('4 captures run already');
    await sessions[0]?.return();
    await sessions[0]?.return();
    expect(() => answer({})).to.not.throw();
    expect(() => answer({})).to.throw('4 captures run already');
  });

  for (const [args, words] of [
    [{ reason: 'nothing' }, 'reason: expected a reason to drop'],
    [{ reason: 'none' }, 'reason: expected a reason to drop'],
    [{ peer: 'x' }, 'peer: x: expected an IP address'],
    [{ spi: '1' }, 'spi: expected 8 hex digits'],
    [{ snapLength: 1 }, 'snapLength: expected 64 to 65535 bytes'],
    [{ keys: true }, 'keys'],
  ] as const) {
    it(`refuses ${JSON.stringify(args)}`, () => {
      expect(() => parseCaptureRequest(args)).to.throw(Error, words);
    });
  }
});
