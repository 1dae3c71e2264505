import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { DropCounters } from '../../src/base/verdict.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { BatchLink } from '../../src/io/link-batch.ts';
import { packetIo } from '../../src/io/native.ts';

const PORT = 20_000 + (process.pid % 20_000);
const ADDRESS = '127.0.8.1';
const PAUSE_MICROSECONDS = 1000;
/** Packets in a millisecond that there always are, and more than there can be. */
const [ALWAYS_BUSY, NEVER_BUSY] = [0, 0xffff_ffff];
const PACKETS = 3;

/** Sends itself so many packets again and again, whenever the last ones are there: as fast as the event loop looks for them. */
class Circle {
  readonly #link: BatchLink;
  readonly #vector = new PacketVector(PACKETS);
  #waits: { looks: number; resolve: () => void } | undefined;

  constructor() {
    const drops = new DropCounters();
    const options = { address: ADDRESS, port: PORT, mtu: 1500, drops, gso: true, gro: true };
    this.#link = BatchLink.open({ ...options, onOff: () => {} });
    this.#link.setPeer(0, ADDRESS);
    this.#link.onReceive(() => this.#look());
    for (let i = 0; i < PACKETS; i++) this.#vector.push(Buffer.alloc(100));
    this.#vector.target.fill(0);
    this.#vector.linkProtocol.fill(LINK_PROTOCOL.OUTER_IPV4);
    this.#link.send(this.#vector, 0, 1);
  }

  /** How long so many looks for packets take, in milliseconds. */
  async timeOf(looks: number): Promise<number> {
    const began = performance.now();
    await new Promise<void>((resolve) => {
      this.#waits = { looks, resolve };
    });
    return performance.now() - began;
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  #look(): void {
    if (this.#waits !== undefined && --this.#waits.looks === 0) this.#waits.resolve();
    this.#link.send(this.#vector, 0, 1);
  }
}

describe('the pause between looks for packets', () => {
  let circle: Circle;
  const pauseAfter = (packetsPerMs: number, enough: number, microseconds = PAUSE_MICROSECONDS) =>
    packetIo().pauseSet(microseconds, packetsPerMs, enough);

  beforeEach(async () => {
    circle = new Circle();
  });
  afterEach(async () => {
    packetIo().pauseSet(0, 0, 0);
    await circle.close();
  });

  it('makes the event loop look no oftener than once in its time, while packets come fast and few at a time', async () => {
    pauseAfter(ALWAYS_BUSY, PACKETS + 1);
    await sleep(10); // until the rate is known
    expect(await circle.timeOf(21)).to.be.at.least(20);
  });

  // Without a pause these take a fiftieth of the time that they may.
  const LOOKS = 1000;

  it('is not made while fewer packets come than being woken for each is worth', async () => {
    pauseAfter(NEVER_BUSY, PACKETS + 1);
    expect(await circle.timeOf(LOOKS)).to.be.below(LOOKS);
  });

  it('is not made after a look that found enough', async () => {
    pauseAfter(ALWAYS_BUSY, PACKETS);
    expect(await circle.timeOf(LOOKS)).to.be.below(LOOKS);
  });

  it('is not made while something else is due at once', async () => {
    pauseAfter(ALWAYS_BUSY, PACKETS + 1);
    let isOver = false;
    const goOn = () => void (isOver || setImmediate(goOn));
    goOn();
    expect(await circle.timeOf(LOOKS)).to.be.below(LOOKS);
    isOver = true;
  });

  it('is not made at all before it is asked for, and ends when it is turned off', async () => {
    expect(await circle.timeOf(LOOKS)).to.be.below(LOOKS);
    pauseAfter(ALWAYS_BUSY, PACKETS + 1);
    await sleep(10);
    pauseAfter(ALWAYS_BUSY, PACKETS + 1, 0);
    expect(await circle.timeOf(LOOKS)).to.be.below(LOOKS);
  });

  it('is at most a millisecond: the event loop has other things to do', () => {
    expect(() => packetIo().pauseSet(1001, 0, 0)).to.throw(TypeError, 'microseconds must be 0 to 1000');
  });
});
