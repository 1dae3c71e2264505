import { expect } from 'chai';
import { DropCounters } from '../../src/base/verdict.ts';
import { type OpenLink, openLink } from '../../src/agents/open-link.ts';
import type { FastPathConfig } from '../../src/config/index.ts';
import type { Log } from '../../src/observe/log.ts';

const PORT = 20_000 + (process.pid % 20_000);

describe('opening the trusted link', () => {
  const lines: string[] = [];
  const open: OpenLink[] = [];
  const write = (level: string) => (message: string, fields?: object) =>
    void lines.push([level, message, JSON.stringify(fields)].join(' '));
  const log: Log = {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: () => log,
  };
  const options = (driver: FastPathConfig['link']['driver'], offloads = { gso: true, gro: true }) => ({
    config: { link: { driver }, offloads: { ...offloads, tun: true } },
    address: '127.0.7.1',
    port: PORT,
    mtu: 1500,
    drops: new DropCounters(),
    log,
  });
  const refusing = (code: string) => () => {
    throw Object.assign(new Error(code), { code });
  };
  const kept = async (link: Promise<OpenLink>) => {
    open.push(await link);
    return (await link).stats();
  };
  beforeEach(() => lines.splice(0));
  afterEach(async () => {
    for (const link of open.splice(0)) await link.close();
  });

  it('auto and batch open the driver batch with the offloads that are wanted, and say so in one line', async () => {
    expect(await kept(openLink(options('auto')))).to.include({ driver: 'batch', gso: true, gro: true });
    await open.pop()?.close();
    const off = { gso: false, gro: false };
    expect(await kept(openLink(options('batch', off)))).to.include({ driver: 'batch', ...off });
    expect(lines).to.deep.equal([
      'info trusted link open {"driver":"batch","gso":true,"gro":true}',
      'info trusted link open {"driver":"batch","gso":false,"gro":false}',
    ]);
  });

  it('dgram opens the driver dgram', async () => {
    expect(await kept(openLink(options('dgram')))).to.include({ driver: 'dgram', gso: false, gro: false });
    expect(lines).to.deep.equal(['info trusted link open {"driver":"dgram"}']);
  });

  it('auto goes without batches where the kernel has no such calls, and says why; batch fails there', async () => {
    const noCalls = refusing('ENOSYS');
    expect(await kept(openLink(options('auto'), noCalls))).to.include({ driver: 'dgram' });
    expect(lines).to.deep.equal([
      'info trusted link goes without batches: the kernel refuses them {"reason":"ENOSYS"}',
      'info trusted link open {"driver":"dgram"}',
    ]);
    const failure: unknown = await openLink(options('batch'), noCalls).catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'ENOSYS');
  });

  it('auto does not hide another reason why batches do not open', async () => {
    const failure: unknown = await openLink(options('auto'), refusing('EMFILE')).catch(
      (error: unknown) => error,
    );
    expect(failure).to.have.property('code', 'EMFILE');
    expect(lines).to.deep.equal([]);
  });

  it('an address that is taken fails whatever the driver', async () => {
    await kept(openLink(options('auto')));
    for (const driver of ['auto', 'batch', 'dgram'] as const) {
      const failure: unknown = await openLink(options(driver)).catch((error: unknown) => error);
      expect(failure, driver).to.have.property('code', 'EADDRINUSE');
    }
  });

  it('an offload that the kernel refuses is told in one line, by its name and the reason', async () => {
    await kept(
      openLink(options('auto'), (given) => {
        given.onOff('gro', 'ENOPROTOOPT');
        const counts = { sent: 0, sendCalls: 0, received: 0, receiveCalls: 0 };
        const stats = () => ({ driver: 'batch' as const, gso: true, gro: false, ...counts });
        const none = () => {};
        return {
          stats,
          countLosses: async () => {},
          close: async () => {},
          send: () => 0,
          setPeer: none,
          onReceive: none,
        };
      }),
    );
    expect(lines).to.deep.equal([
      'warn offload of the trusted link is off: the kernel refuses it {"offload":"gro","reason":"ENOPROTOOPT"}',
      'info trusted link open {"driver":"batch","gso":true,"gro":false}',
    ]);
  });
});
