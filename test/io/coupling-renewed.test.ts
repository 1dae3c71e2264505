import { expect } from 'chai';
import { DEFAULT_TIMES } from '../../src/coupling/session.ts';
import { CouplingClient } from '../../src/io/coupling-client.ts';
import { CouplingServer } from '../../src/io/coupling-server.ts';
import { checkCredentials, type TlsCredentials } from '../../src/io/tls-options.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';
import { Changes, RouteRecorder, TargetRecorder } from '../support/coupling-pair.ts';

/** Both hosts of one authority. */
interface Hosts {
  readonly route: TlsCredentials;
  readonly target: TlsCredentials;
}

describe('renewed certificates of the coupling channel', () => {
  const authorities: TestAuthority[] = [];
  let old: Hosts;
  let renewed: Hosts;
  const changes = new Changes();
  const route = new RouteRecorder(changes);
  const target = new TargetRecorder(changes);
  let server: CouplingServer;
  let client: CouplingClient;
  const failures: string[] = [];

  before(async () => {
    const issue = async () => {
      const authority = await TestAuthority.create();
      authorities.push(authority);
      return {
        route: await authority.issue('route', 'router1'),
        target: await authority.issue('target', 'target1'),
      };
    };
    [old, renewed] = [await issue(), await issue()];
    server = new CouplingServer({
      address: '127.0.0.1',
      port: 0,
      tls: old.route,
      host: 'router1',
      isTarget: (host) => host === 'target1',
      epochs: route.epochs,
      drops: route.drops,
      handlers: route,
    });
    client = new CouplingClient({
      router: { host: 'router1', address: '127.0.0.1', port: await server.listen() },
      tls: old.target,
      host: 'target1',
      incarnation: 1n,
      drops: target.drops,
      handlers: target,
      random: () => 0,
      onFailure: (reason) => {
        failures.push(reason);
        changes.changed();
      },
    });
    client.start();
  });

  after(async () => {
    await client.stop();
    await server.close();
    for (const authority of authorities) authority.remove();
  });

  it('leave the session that there is, and are those of the next one, on both hosts', async () => {
    await changes.until(() => target.sessions.length === 1 && route.sessions.length === 1);
    server.configure(renewed.route, DEFAULT_TIMES);
    expect([client.session?.isOpen, server.sessions().length]).to.deep.equal([true, 1]);
    // Another authority: one host that has it, and one that has not, do not trust each other.
    server.session('target1')?.close('stopped');
    await changes.until(() => failures.includes('coupling-certificate'));
    client.configure(renewed.target, DEFAULT_TIMES);
    await changes.until(() => target.sessions.length === 2 && route.sessions.length === 2);
    expect(client.session?.isOpen).to.equal(true);
  });

  it('that are none are refused before they are used', () => {
    expect(() => checkCredentials({ ...renewed.route, key: old.route.key })).to.throw(/key values mismatch/);
    expect(() => checkCredentials({ ...renewed.route, certificate: 'PEM' })).to.throw();
  });
});
