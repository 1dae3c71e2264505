import { createSocket } from 'node:dgram';
import { expect } from 'chai';
import { DropCounters } from '../../src/base/verdict.ts';
import { LINK_PROTOCOL, type TrustedLink } from '../../src/dataplane/ports.ts';
import { LARGE_SLOT_BYTES, PacketVector } from '../../src/dataplane/vector.ts';

export interface LinkDriver {
  readonly name: string;
  open(options: { address: string; port: number; drops: DropCounters }): Promise<TrustedLink>;
}

interface Arrival {
  readonly peer: number;
  readonly protocol: number;
  readonly epoch: number;
  readonly packets: string[];
}

/** One end with all that reached it. */
class End {
  readonly arrivals: Arrival[] = [];
  readonly drops = new DropCounters();
  readonly address: string;
  link!: TrustedLink;
  #waiting: (() => void)[] = [];

  constructor(address: string) {
    this.address = address;
  }

  async open(driver: LinkDriver, port: number): Promise<this> {
    this.link = await driver.open({ address: this.address, port, drops: this.drops });
    this.link.onReceive((packets, peer, protocol, epoch) => {
      const texts = Array.from({ length: packets.count }, (_, i) => packets.packet(i).toString('latin1'));
      this.arrivals.push({ peer, protocol, epoch, packets: texts });
      this.changed();
    });
    return this;
  }

  changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  get texts(): string[] {
    return this.arrivals.flatMap(({ packets }) => packets);
  }

  /** Resolves when the condition holds; the test's own time limit is the bound. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** For the sealed protocol. */
function sealed(target: number, ...texts: string[]): PacketVector {
  const vector = vectorOf(target, ...texts);
  vector.linkProtocol.fill(LINK_PROTOCOL.SEALED);
  return vector;
}

function vectorOf(target: number, ...texts: string[]): PacketVector {
  const vector = new PacketVector(Math.max(1, texts.length));
  for (const text of texts) vector.push(Buffer.from(text, 'latin1'));
  vector.target.fill(target);
  vector.linkProtocol.fill(LINK_PROTOCOL.OUTER_IPV4);
  return vector;
}

/** What every driver of the trusted link must do, also towards another (host b). Needs 127.0.0.0/8, no root. */
export function trustedLinkContract(driver: LinkDriver, other: LinkDriver = driver): void {
  const port = 20_000 + (process.pid % 20_000);
  const { OUTER_IPV4, SEALED } = LINK_PROTOCOL;

  describe(`trusted link (${driver === other ? driver.name : `${driver.name} to ${other.name}`})`, () => {
    let a: End;
    let b: End;

    beforeEach(async () => {
      a = await new End('127.0.4.1').open(driver, port);
      b = await new End('127.0.4.2').open(other, port);
      a.link.setPeer(1, b.address);
      b.link.setPeer(7, a.address);
    });
    afterEach(async () => {
      await a.link.close();
      await b.link.close();
    });

    /** Sends bytes from `address` to b as anybody could; then a genuine packet, behind which all has arrived. */
    async function inject(address: string, ...datagrams: Buffer[]): Promise<void> {
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => {
        socket.bind(0, address, resolve);
      });
      for (const datagram of datagrams) {
        await new Promise((resolve) => {
          socket.send(datagram, port, b.address, resolve);
        });
      }
      socket.close();
      a.link.send(vectorOf(1, 'genuine'), 1, 1);
      await b.until(() => b.texts.includes('genuine'));
    }

    it('trusted link carries packets unchanged, with the sender, protocol and epoch', async () => {
      expect(a.link.send(vectorOf(1, 'one', 'two'), 1, 0xfffffffe)).to.equal(2);
      await b.until(() => b.texts.length === 2);
      expect(b.texts).to.deep.equal(['one', 'two']);
      for (const arrival of b.arrivals) {
        expect(arrival).to.include({ peer: 7, protocol: OUTER_IPV4, epoch: 0xfffffffe });
      }
    });

    it('trusted link sends only packets without a verdict that are for this peer', async () => {
      const vector = vectorOf(1, 'mine', 'dropped', "another's");
      vector.drop(1, 3);
      vector.target[2] = 2;
      expect(a.link.send(vector, 1, 1)).to.equal(1);
      expect([...vector.verdict]).to.deep.equal([0, 3, 0]);
      await b.until(() => b.texts.length > 0);
      expect(b.texts).to.deep.equal(['mine']);
    });

    it('trusted link has taken its copy when send returns', async () => {
      const vector = vectorOf(1, 'before');
      a.link.send(vector, 1, 1);
      vector.slab.fill(0x58);
      await b.until(() => b.texts.length === 1);
      expect(b.texts).to.deep.equal(['before']);
    });

    it('trusted link hands up packets of one turn together, by protocol and epoch, in order', async () => {
      const many = Array.from({ length: 200 }, (_, i) => `packet ${i}`);
      a.link.send(vectorOf(1, ...many), 1, 5);
      a.link.send(sealed(1, 'sealed'), 1, 5);
      a.link.send(vectorOf(1, 'next epoch'), 1, 6);
      await b.until(() => b.texts.length === 202);
      const of = (protocol: number, epoch: number) =>
        b.arrivals.filter((x) => x.protocol === protocol && x.epoch === epoch).flatMap((x) => x.packets);
      expect(of(OUTER_IPV4, 5)).to.deep.equal(many);
      expect(of(SEALED, 5)).to.deep.equal(['sealed']);
      expect(of(OUTER_IPV4, 6)).to.deep.equal(['next epoch']);
      expect(b.arrivals.length, 'calls').to.be.lessThan(100);
    });

    it('trusted link works both ways at once', async () => {
      a.link.send(vectorOf(1, 'to b'), 1, 1);
      b.link.send(sealed(7, 'to a'), 7, 2);
      await Promise.all([a.until(() => a.texts.length === 1), b.until(() => b.texts.length === 1)]);
      expect(a.arrivals).to.deep.equal([{ peer: 1, protocol: SEALED, epoch: 2, packets: ['to a'] }]);
    });

    it('trusted link carries a packet as long as a slot', async () => {
      const long = 'x'.repeat(new PacketVector(1).roomBytes);
      a.link.send(vectorOf(1, long), 1, 1);
      await b.until(() => b.texts.length === 1);
      expect(b.texts).to.deep.equal([long]);
    });

    it('trusted link carries a longer datagram, of 64 KB as well, in its place', async () => {
      const header = Buffer.from('300008000000000100000001', 'hex');
      b.link.setPeer(8, '127.0.4.3');
      await inject('127.0.4.3', Buffer.concat([header, Buffer.alloc(6000)]));
      expect(b.texts.map((text) => text.length)).to.deep.equal([6000, 'genuine'.length]);
      const longest = 'y'.repeat(65_000);
      const large = new PacketVector(1, LARGE_SLOT_BYTES);
      large.push(Buffer.from(longest));
      large.target.fill(1);
      large.linkProtocol.fill(OUTER_IPV4);
      a.link.send(large, 1, 1);
      await b.until(() => b.texts.length === 3);
      expect(b.texts[2]).to.equal(longest);
    });

    it('trusted link carries the numbers of dispatches', async () => {
      const numbers: number[] = [];
      const vector = vectorOf(1, 'first', 'second');
      vector.dispatch.set([0xfffffffe, 0]);
      a.link.send(vector, 1, 1);
      await b.until(() => b.texts.length === 2);
      b.link.onReceive((packets) => {
        numbers.push(...packets.dispatch.subarray(0, packets.count));
        b.changed();
      });
      a.link.send(vector, 1, 1);
      await b.until(() => numbers.length === 2);
      expect(numbers).to.deep.equal([0xfffffffe, 0]);
    });

    it('trusted link refuses a dispatch without a number, as link-malformed', async () => {
      b.link.setPeer(8, '127.0.4.3');
      await inject('127.0.4.3', Buffer.from('20000800000000014500', 'hex'));
      expect(b.drops.get('link-malformed')).to.equal(1);
      expect(b.texts).to.deep.equal(['genuine']);
    });

    it('trusted link refuses a sender that is no peer, as link-stranger', async () => {
      await inject('127.0.4.9', Buffer.from('20000800000000014500', 'hex'));
      expect(b.drops.get('link-stranger')).to.equal(1);
      expect(b.texts).to.deep.equal(['genuine']);
    });

    it('trusted link refuses what is not GRE with a key and a known protocol, as link-malformed', async () => {
      b.link.setPeer(8, '127.0.4.3');
      const malformed = [
        '',
        '30',
        '30000800',
        '3000080000', // cut in the key
        '3000080000000001000000', // cut in the number
        '10000800000000014500', // no key
        '7000080000000001000000014500', // reserved bit
        '3001080000000001000000014500', // version 1
        '300086dc00000001000000014500', // unknown protocol
        '300088b500000001000000014500', // a number where there must be none
        '300008000000000100000001', // nothing inside
        'b00008000001000000000001000000014500', // wrong checksum
      ];
      await inject('127.0.4.3', ...malformed.map((hex) => Buffer.from(hex, 'hex')));
      expect(b.drops.get('link-malformed')).to.equal(malformed.length);
      expect(b.texts).to.deep.equal(['genuine']);
    });

    it('trusted link marks packets for a peer without address send-failed', () => {
      const vector = vectorOf(5, 'lost');
      expect(a.link.send(vector, 5, 1)).to.equal(0);
      expect(vector.verdict[0]).to.not.equal(0);
    });

    it('trusted link treats a closed peer as a stranger, and follows one to a new address', async () => {
      b.link.setPeer(7, undefined);
      const c = await new End('127.0.4.3').open(driver, port);
      try {
        b.link.setPeer(7, c.address);
        c.link.setPeer(0, b.address);
        a.link.send(vectorOf(1, 'from the old address'), 1, 1);
        c.link.send(vectorOf(0, 'from the new one'), 0, 1);
        await b.until(() => b.texts.length === 1);
        expect(b.arrivals[0]).to.deep.include({ peer: 7, packets: ['from the new one'] });
      } finally {
        await c.link.close();
      }
    });

    it('trusted link refuses two peers with one address', () => {
      expect(() => a.link.setPeer(2, b.address)).to.throw(b.address);
    });

    it('trusted link ends: after close nothing is sent, and close twice is harmless', async () => {
      await a.link.close();
      await a.link.close();
      expect(a.link.send(vectorOf(1, 'late'), 1, 1)).to.equal(0);
    });

    it('trusted link says why it can not open', async () => {
      let failure: unknown;
      await driver.open({ address: a.address, port, drops: new DropCounters() }).catch((error: unknown) => {
        failure = error;
      });
      expect(failure).to.have.property('code', 'EADDRINUSE');
    });
  });
}
