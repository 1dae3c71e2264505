import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ListeningSockets, THOROUGH_EVERY } from '../../src/io/listening-sockets.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const REST = '00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0';
const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
const row = (port: number, state = '0A') => `   0: 00000000:${hex(port)} 00000000:0000 ${state} ${REST}\n`;

describe('listening sockets of this machine', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  async function listener(host: string): Promise<number> {
    const server = createServer();
    server.listen(0, host);
    closing.push(() => server.close());
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function udp(type: 'udp4' | 'udp6', host: string, peer?: number): Promise<number> {
    const socket = createSocket({ type });
    closing.push(() => socket.close());
    socket.bind(0, host);
    await once(socket, 'listening');
    if (peer !== undefined) {
      socket.connect(peer, host);
      await once(socket, 'connect');
    }
    return socket.address().port;
  }

  it('are seen under their addresses, of both families, until they are closed', async () => {
    const sockets = new ListeningSockets({ dvipas: ['127.0.0.1', '127.0.0.2', '::1'], maxPorts: 1024 });
    const [own, any, own6, any6] = [
      await listener('127.0.0.1'),
      await listener('0.0.0.0'),
      await listener('::1'),
      await listener('::'),
    ];
    await sockets.look(false);
    const all = [own, any, own6, any6];
    const seen = (dvipa: string) => all.filter((port) => sockets.portsOf(dvipa).tcp.includes(port));
    expect(seen('127.0.0.1')).to.deep.equal([own, any, any6]);
    expect(seen('127.0.0.2')).to.deep.equal([any, any6]);
    expect(seen('::1')).to.deep.equal([own6, any6]);
    for (const close of closing.splice(0)) close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await sockets.look(false);
    expect(seen('127.0.0.1')).to.deep.equal([]);
  });

  it('are not those of a connection, nor UDP sockets that are connected', async () => {
    const sockets = new ListeningSockets({ dvipas: ['127.0.0.1', '::1'], maxPorts: 1024 });
    const port = await listener('127.0.0.1');
    const client = connect(port, '127.0.0.1');
    closing.push(() => client.destroy());
    await once(client, 'connect');
    const bound = await udp('udp4', '127.0.0.1');
    const connected = await udp('udp4', '127.0.0.1', bound);
    const bound6 = await udp('udp6', '::1');
    await sockets.look(true);
    const { tcp, udp: datagrams } = sockets.portsOf('127.0.0.1');
    expect(tcp).to.include(port).and.not.include(client.localPort);
    expect(datagrams).to.include(bound).and.not.include(connected);
    expect(datagrams).not.to.include(bound6);
    expect(sockets.portsOf('::1').udp).to.include(bound6);
  });
});

describe('listening sockets', () => {
  let folder: string;
  const write = (files: Record<string, string>) =>
    Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
  const sockets = (maxPorts = 8) => new ListeningSockets({ dvipas: ['203.0.113.10'], maxPorts, folder });
  const counts = (tcp: number) => ({
    sockstat: `sockets: used ${100 + tcp}\nTCP: inuse ${tcp} orphan 0 tw 0\n`,
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dvipa-proc-'));
    await write({ tcp: HEAD, udp: HEAD, ...counts(1) });
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are read up to the first TCP socket that does not listen: behind it are connections only', async () => {
    await write({ tcp: HEAD + row(80) + row(443) + row(9000, '01') + 'anything' });
    const own = sockets();
    await own.look(true);
    expect(own.portsOf('203.0.113.10')).to.deep.equal({ tcp: [80, 443], udp: [] });
  });

  it('are all looked at for UDP, which has them in no order', async () => {
    await write({ udp: HEAD + row(53, '07') + row(9000, '01') + row(52, '07') + row(0, '07') });
    const own = sockets();
    await own.look(true);
    expect(own.portsOf('203.0.113.10')).to.deep.equal({ tcp: [], udp: [52, 53] });
  });

  it('are the lowest where there are more than may be reported, and it says so', async () => {
    await write({ tcp: HEAD + [9, 3, 7, 1, 5].map((port) => row(port)).join('') });
    const own = sockets(3);
    await own.look(true);
    expect(own.portsOf('203.0.113.10').tcp).to.deep.equal([1, 3, 5]);
    expect(own.isTruncated).to.equal(true);
    const enough = sockets(5);
    await enough.look(true);
    expect(enough.isTruncated).to.equal(false);
  });

  it('stay what they were when a table is none', async () => {
    await write({ tcp: HEAD + row(80) });
    const own = sockets();
    await own.look(true);
    for (const broken of [HEAD + row(81) + 'what\n', `${HEAD}${'x'.repeat(20_000)}`]) {
      await write({ tcp: broken });
      let error: unknown;
      await own.look(true).catch((caught: unknown) => {
        error = caught;
      });
      expect(String(error)).to.match(/tcp: (row 3 is not what it should be|a row without end)/);
      expect(own.portsOf('203.0.113.10').tcp).to.deep.equal([80]);
    }
  });

  it('are read anew when a count of sockets changes, when it must be thorough, and from time to time', async () => {
    const own = sockets();
    const look = async (port: number, isThorough = false) => {
      await write({ tcp: HEAD + row(port) });
      await own.look(isThorough);
      return own.portsOf('203.0.113.10').tcp[0];
    };
    expect(await look(1)).to.equal(1);
    expect(await look(2)).to.equal(1);
    await write(counts(2));
    expect(await look(3)).to.equal(3);
    expect(await look(4, true)).to.equal(4);
    for (let n = 4; n < THOROUGH_EVERY; n++) expect(await look(5)).to.equal(4);
    expect(await look(6)).to.equal(6);
  });

  it('are no ports of a DVIPA that is not asked for', async () => {
    const own = sockets();
    await own.look(true);
    expect(own.portsOf('203.0.113.99')).to.deep.equal({ tcp: [], udp: [] });
    expect(() => new ListeningSockets({ dvipas: ['nowhere'], maxPorts: 1 })).to.throw(TypeError);
  });
});
