import { connect as connectTcp, createServer, type AddressInfo, type Server } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { DropCounters, type DropReason } from '../../src/base/verdict.ts';
import { decodeFrame, encodeFrame, type Envelope } from '../../src/coupling/envelope.ts';
import { COUPLING_VERSION } from '../../src/coupling/records.ts';
import { CouplingClient } from '../../src/io/coupling-client.ts';
import { CouplingServer, type Refusal } from '../../src/io/coupling-server.ts';
import { type TlsCredentials, tlsOptions } from '../../src/io/tls-options.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';
import { Changes, RouteRecorder, TargetRecorder } from '../support/coupling-pair.ts';
import { ManualClock } from '../support/manual-clock.ts';

const version = COUPLING_VERSION;
const hello = { version, role: 'target', host: 'target1', incarnation: 1n << 40n, epochSeen: 0 };

function frame(changes: Partial<Envelope> & { k: string }): Buffer {
  return encodeFrame({ n: 1, a: 0, e: 0, b: {}, ...changes });
}

describe('coupling over real TLS', () => {
  let authority: TestAuthority;
  let foreign: TestAuthority;
  const certificates = new Map<string, TlsCredentials>();

  before(async () => {
    authority = await TestAuthority.create();
    foreign = await TestAuthority.create();
    for (const host of ['router1', 'router2']) certificates.set(host, await authority.issue('route', host));
    for (const host of ['target1', 'target2', 'stranger']) {
      certificates.set(host, await authority.issue('target', host));
    }
    certificates.set('foreign target', { ...(await foreign.issue('target', 'target1')), ca: authority.ca });
    certificates.set('foreign router', { ...(await foreign.issue('route', 'router1')), ca: authority.ca });
    certificates.set('client router', await authority.issueAnyUse('route', 'router3'));
    certificates.set('server target', await authority.issueAnyUse('target', 'target3'));
    certificates.set('nobody', await authority.issueNames(['nobody.example', 'target1']));
    certificates.set(
      'two names',
      await authority.issueNames(['target1.target.dvipa.invalid', 'target2.target.dvipa.invalid']),
    );
  });

  after(() => {
    authority.remove();
    foreign.remove();
  });

  function credentials(name: string): TlsCredentials {
    return certificates.get(name) as TlsCredentials;
  }

  describe('server', () => {
    let changes: Changes;
    let route: RouteRecorder;
    let server: CouplingServer;
    let port: number;
    let clock: ManualClock;
    let refusals: Refusal[];
    const sockets = new Set<{ destroy(): void }>();

    beforeEach(() => start());

    async function start(handshakeTimeoutMs = 5000): Promise<void> {
      changes = new Changes();
      route = new RouteRecorder(changes);
      clock = new ManualClock();
      refusals = [];
      server = new CouplingServer({
        address: '127.0.0.1',
        port: 0,
        tls: credentials('router1'),
        host: 'router1',
        isTarget: (host) => /^target\d$/.test(host),
        epochs: route.epochs,
        drops: route.drops,
        handlers: route,
        clock,
        handshakeTimeoutMs,
        onRefused: (refusal) => {
          refusals.push(refusal);
          changes.changed();
        },
        onEnded: () => changes.changed(),
      });
      port = await server.listen();
    }

    afterEach(async () => {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
      await server.close();
      expect(clock.pending).to.equal(0);
    });

    function tls(name: string | undefined, options: object = {}): TLSSocket {
      const ours = name === undefined ? { ca: authority.ca } : tlsOptions(credentials(name));
      const socket = connectTls({
        port,
        host: '127.0.0.1',
        checkServerIdentity: () => undefined,
        ...ours,
        ...options,
      });
      socket.on('error', () => {});
      socket.resume();
      sockets.add(socket);
      return socket;
    }

    /** From 127.0.0.1, .2 ... */
    function tcp(from = 1): ReturnType<typeof connectTcp> {
      const socket = connectTcp({ port, host: '127.0.0.1', localAddress: `127.0.0.${from}` });
      socket.on('error', () => {});
      socket.resume();
      sockets.add(socket);
      return socket;
    }

    async function expectDrop(reason: DropReason, socket: { destroyed: boolean }): Promise<void> {
      await changes.until(() => route.drops.get(reason) > 0);
      expect(Object.entries(route.drops.toJSON()).filter(([, count]) => count > 0)).to.deep.equal([
        [reason, 1],
      ]);
      expect(route.sessions).to.deep.equal([]);
      if (!socket.destroyed) await new Promise((resolve) => (socket as TLSSocket).once('close', resolve));
    }

    const strangers: [string, DropReason, string | undefined][] = [
      ['no certificate', 'coupling-certificate', undefined],
      ['a certificate of a foreign authority', 'coupling-certificate', 'foreign target'],
      ["a routing host's certificate (it may be a server only)", 'coupling-certificate', 'router2'],
      ['the role of a routing host', 'coupling-role', 'client router'],
      ['a target that is not configured', 'coupling-certificate', 'stranger'],
      ['a certificate that names no identity of ours', 'coupling-certificate', 'nobody'],
      ['a certificate that names two targets', 'coupling-certificate', 'two names'],
    ];
    for (const [what, reason, name] of strangers) {
      it(`refuses ${what} as ${reason}`, async () => {
        await expectDrop(reason, tls(name));
      });
    }

    it('refuses TLS 1.2 as coupling-tls', async () => {
      await expectDrop('coupling-tls', tls('target1', { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }));
    });

    it('refuses plain text as coupling-tls', async () => {
      const socket = tcp();
      socket.write('GET / HTTP/1.1\r\n\r\n');
      await expectDrop('coupling-tls', socket);
    });

    it('does not wait for a handshake for ever', async () => {
      await server.close();
      await start(20);
      await expectDrop('coupling-limit', tcp());
      expect(refusals[0]?.message).to.equal('ERR_TLS_HANDSHAKE_TIMEOUT');
    });

    async function connected(sockets: ReturnType<typeof connectTcp>[]): Promise<void> {
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    }

    it('lets 16 handshakes wait, not more', async () => {
      await connected(Array.from({ length: 16 }, (_, i) => tcp(2 + (i >> 2))));
      await expectDrop('coupling-limit', tcp());
    });

    it('lets 4 handshakes of one address wait, not more', async () => {
      await connected(Array.from({ length: 4 }, () => tcp(2)));
      await expectDrop('coupling-limit', tcp(2));
      tls('target1').write(frame({ k: 'hello', b: hello }));
      await changes.until(() => route.sessions.length === 1);
    });

    it('forgets handshakes that ended', async () => {
      for (let i = 0; i < 20; i++) {
        const socket = tls('foreign target');
        await new Promise((resolve) => socket.once('close', resolve));
      }
      tls('target1').write(frame({ k: 'hello', b: hello }));
      await changes.until(() => route.sessions.length === 1);
    });

    const records: [string, DropReason, () => Buffer][] = [
      ['an oversized record', 'coupling-oversized', () => Buffer.from([0, 0xff, 0xff, 0xff])],
      ['garbage', 'coupling-malformed', () => Buffer.from([0, 0, 0, 2, 0xc1, 0xc1])],
      ['a record before hello', 'coupling-order', () => frame({ k: 'windows-end' })],
      [
        "another host's hello",
        'coupling-role',
        () => frame({ k: 'hello', b: { ...hello, host: 'target2' } }),
      ],
      [
        "a routing host's hello",
        'coupling-role',
        () => frame({ k: 'hello', b: { ...hello, role: 'route' } }),
      ],
      ['another version', 'coupling-version', () => frame({ k: 'hello', b: { ...hello, version: 99 } })],
    ];
    for (const [what, reason, bytes] of records) {
      it(`refuses ${what} as ${reason}`, async () => {
        const socket = tls('target1');
        socket.write(bytes());
        await expectDrop(reason, socket);
      });
    }

    it('refuses a record of an old epoch as coupling-epoch', async () => {
      const socket = tls('target1');
      socket.write(frame({ k: 'hello', b: hello }));
      await changes.until(() => route.sessions.length === 1);
      socket.write(frame({ k: 'windows-end', n: 2, a: 1, e: 0 }));
      await changes.until(() => route.closes.length === 1);
      expect(route.closes).to.deep.equal(['coupling-epoch']);
      expect(route.drops.get('coupling-epoch')).to.equal(1);
    });

    it('replaces the session of a host with its next one, and refuses an earlier life', async () => {
      const open = (incarnation: bigint) => {
        const socket = tls('target1');
        socket.write(frame({ k: 'hello', b: { ...hello, incarnation } }));
        return new Promise((resolve) => socket.once('close', resolve));
      };
      const first = open(5n);
      await changes.until(() => route.sessions.length === 1);
      const second = open(6n);
      await changes.until(() => route.sessions.length === 2);
      await first;
      expect(route.closes).to.deep.equal(['replaced']);
      expect(server.session('target1')?.incarnation).to.equal(6n);
      await open(4n);
      expect(route.drops.get('coupling-limit')).to.equal(1);
      expect(server.sessions().map(({ incarnation }) => incarnation)).to.deep.equal([6n]);
      server.session('target1')?.close();
      for (const socket of sockets) socket.destroy();
      await second;
    });

    it('allows two connections of a host at a time', async () => {
      const waiting = [tls('target1'), tls('target1')];
      await Promise.all(waiting.map((socket) => new Promise((resolve) => socket.once('session', resolve))));
      await expectDrop('coupling-limit', tls('target1'));
    });

    it('ends the sessions of the old epoch when a target raises it', async () => {
      tls('target1').write(frame({ k: 'hello', b: hello }));
      await changes.until(() => route.sessions.length === 1);
      tls('target2').write(frame({ k: 'hello', b: { ...hello, host: 'target2', epochSeen: 40 } }));
      await changes.until(() => route.sessions.length === 2);
      expect(route.storedEpochs).to.deep.equal([41]);
      expect(route.closes).to.deep.equal(['epoch-raised']);
      expect(server.sessions().map(({ host, epoch }) => [host, epoch])).to.deep.equal([['target2', 41]]);
    });

    it('fails to listen on an address that is taken', async () => {
      const tls = credentials('router1');
      const options = { address: '127.0.0.1', port, tls, host: 'router1', isTarget: () => true };
      const other = new CouplingServer({
        ...options,
        epochs: route.epochs,
        drops: route.drops,
        handlers: route,
      });
      const failure = await other.listen().catch((error: unknown) => error);
      expect(failure).to.have.property('code', 'EADDRINUSE');
      await other.close();
    });
  });

  describe('client', () => {
    let changes: Changes;
    let target: TargetRecorder;
    let clock: ManualClock;
    let client: CouplingClient;
    let server: Server;
    let port: number;
    const failures: string[] = [];

    beforeEach(() => {
      changes = new Changes();
      target = new TargetRecorder(changes);
      clock = new ManualClock();
      failures.length = 0;
    });

    afterEach(async () => {
      await client.stop();
      await client.stop();
      await new Promise((resolve) => server.close(resolve));
      expect(clock.pending).to.equal(0);
    });

    async function listen(candidate: Server): Promise<void> {
      server = candidate;
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      port = (server.address() as AddressInfo).port;
    }

    function start(drops = new DropCounters()): DropCounters {
      client = new CouplingClient({
        router: { host: 'router1', address: '127.0.0.1', port },
        tls: credentials('target1'),
        host: 'target1',
        incarnation: 1n,
        drops,
        handlers: target,
        clock,
        random: () => 0,
        onFailure: (reason) => {
          failures.push(reason);
          changes.changed();
        },
      });
      client.start();
      return drops;
    }

    const strangers: [string, DropReason, string, object][] = [
      ['a foreign authority', 'coupling-certificate', 'foreign router', {}],
      ['another routing host', 'coupling-certificate', 'router2', {}],
      ['a target that plays routing host', 'coupling-role', 'server target', {}],
      ["a target's certificate (it may be a client only)", 'coupling-certificate', 'target2', {}],
      ['TLS 1.2', 'coupling-tls', 'router1', { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }],
    ];
    for (const [what, reason, name, options] of strangers) {
      it(`refuses ${what} as ${reason}, says no hello, and tries again`, async () => {
        let heard = 0;
        const fake = createTlsServer({ ...tlsOptions(credentials(name)), ...options }, (socket) => {
          socket.on('error', () => {});
          socket.on('data', () => heard++);
        });
        await listen(fake);
        const drops = start();
        await changes.until(() => failures.length === 1);
        expect(failures).to.deep.equal([reason]);
        expect(drops.get(reason)).to.equal(1);
        while (!client.isWaiting) await new Promise((resolve) => setImmediate(resolve));
        clock.advance(50);
        await changes.until(() => failures.length === 2);
        expect([heard, target.sessions.length]).to.deep.equal([0, 0]);
      });
    }

    it('refuses plain text as coupling-tls', async () => {
      await listen(
        createServer((socket) => {
          socket.on('error', () => {});
          socket.resume();
          socket.end('220 hello\r\n');
        }),
      );
      const drops = start();
      await changes.until(() => failures.length === 1);
      expect(drops.get('coupling-tls')).to.equal(1);
    });

    it('counts nothing when nobody listens, and waits longer each time, at most a second', async () => {
      await listen(createServer());
      await new Promise((resolve) => server.close(resolve));
      server.listen = () => server;
      const drops = start();
      const waits: number[] = [];
      for (let i = 1; i <= 8; i++) {
        await changes.until(() => failures.length === i);
        while (!client.isWaiting) await new Promise((resolve) => setImmediate(resolve));
        let waited = 0;
        for (; client.isWaiting; waited += 5) clock.advance(5);
        waits.push(waited);
      }
      expect(waits).to.deep.equal([25, 50, 100, 200, 400, 500, 500, 500]);
      expect(Object.values(drops.toJSON()).every((count) => count === 0)).to.equal(true);
      expect(failures[0]).to.equal('ECONNREFUSED');
    });

    it('refuses a routing host of an old epoch as coupling-epoch', async () => {
      const fake = createTlsServer(tlsOptions(credentials('router1')), (socket) => {
        socket.on('error', () => {});
        socket.once('data', (chunk: Buffer) => {
          expect(decodeFrame(chunk.subarray(4)).k).to.equal('hello');
          const b = { version, role: 'route', host: 'router1', epoch: 3 };
          socket.write(frame({ k: 'hello', a: 1, e: 3, b }));
        });
      });
      await listen(fake);
      const drops = new DropCounters();
      start(drops);
      client.epochs.note(4);
      await changes.until(() => failures.length === 1);
      expect(failures).to.deep.equal(['coupling-epoch']);
      expect(drops.get('coupling-epoch')).to.equal(1);
      expect(target.sessions).to.deep.equal([]);
    });
  });
});
