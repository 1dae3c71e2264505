import { expect } from 'chai';
import { algorithmName } from '../../src/agents/algorithm-name.ts';
import { inboundFilterOf, ruleRecords } from '../../src/agents/inbound-filter.ts';
import { LinkKeys } from '../../src/agents/link-keys.ts';
import { StopList } from '../../src/agents/running-agent.ts';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { LINK_KIND } from '../../src/ipsec/link-seal.ts';
import { outcomes, vectorOf } from '../support/dataplane-parts.ts';
import { addr } from '../support/inner-packets.ts';
import { LinkHeader, newLinkNodeCipher, openOne, sealOne } from '../support/link-seal.ts';
import { testSa } from '../support/test-sas.ts';

const key = (byte: number) => KeyMaterial.copyOf(Buffer.alloc(32, byte));

describe('link-keys', () => {
  /** Two hosts that get the same keys, crosswise. */
  const pair = () => {
    const [ours, theirs] = [new LinkKeys(), new LinkKeys()];
    return {
      ours,
      theirs,
      renew: (keyId: number, byte: number) => {
        ours.install(keyId, key(byte), key(byte + 1), newLinkNodeCipher);
        theirs.install(keyId, key(byte + 1), key(byte), newLinkNodeCipher);
      },
    };
  };
  const seal = (keys: LinkKeys) => {
    const vector = vectorOf(Buffer.from('inner packet'));
    const header = new LinkHeader();
    header.kind = LINK_KIND.FUNNEL;
    if (keys.sealer !== undefined) sealOne(keys.sealer, vector, 0, header, 1);
    return Buffer.from(vector.packet(0));
  };
  const open = (keys: LinkKeys, packet: Buffer) => {
    const vector = vectorOf(packet);
    vector.drop(0, openOne(keys.opener, vector, 0, 1));
    return outcomes(vector)[0];
  };

  it('seal on one host what the other opens', () => {
    const { ours, theirs, renew } = pair();
    renew(1, 10);
    expect([open(theirs, seal(ours)), open(ours, seal(theirs))]).to.deep.equal(['keep', 'keep']);
    expect(open(ours, seal(ours))).to.equal('link-authentication');
  });

  it('still open what is on its way under the key before, and not under the one before that', () => {
    const { ours, theirs, renew } = pair();
    renew(1, 10);
    const first = [seal(ours), seal(ours)];
    renew(2, 20);
    expect(open(theirs, first[0] as Buffer)).to.equal('keep');
    expect(open(theirs, first[0] as Buffer)).to.equal('link-replay');
    renew(3, 30);
    expect(open(theirs, first[1] as Buffer)).to.equal('link-authentication');
  });

  it('wipe keys that are over, and everything on wipe', () => {
    const keys = new LinkKeys();
    const made = [1, 2, 3].map((id) => ({ id, sealing: key(id), opening: key(id + 100) }));
    for (const { id, sealing, opening } of made) keys.install(id, sealing, opening, newLinkNodeCipher);
    expect(made.map(({ sealing }) => sealing.isWiped)).to.deep.equal([true, true, false]);
    expect(made.map(({ opening }) => opening.isWiped)).to.deep.equal([true, false, false]);
    keys.wipe();
    expect(made.every(({ sealing, opening }) => sealing.isWiped && opening.isWiped)).to.equal(true);
    expect(keys.sealer).to.equal(undefined);
  });

  it('forget an old key whose random id comes again', () => {
    const { ours, theirs, renew } = pair();
    renew(1, 10);
    renew(1, 20);
    expect(open(theirs, seal(ours))).to.equal('keep');
  });
});

describe('inbound filter of a configuration', () => {
  it('decides alike on both hosts, from the rules as they travel', () => {
    const rules = ruleRecords([
      { action: 'deny', protocol: 'tcp', ports: { from: 22, to: 22 } },
      { action: 'permit', protocol: 'tcp', ports: { from: 1, to: 1023 }, source: '10.1.0.0/16' },
      { action: 'permit', protocol: 'icmp', ports: { from: 0, to: 65_535 } },
      { action: 'permit', protocol: 'icmpv6', ports: { from: 0, to: 65_535 } },
    ]);
    const filter = inboundFilterOf(rules);
    const permits = (protocol: number, source: string, port: number) =>
      filter.permits(protocol, addr(source), 0, 40_000, port, false);
    expect(permits(6, '10.1.2.3', 80)).to.equal(true);
    expect(permits(6, '10.1.2.3', 22)).to.equal(false);
    expect(permits(6, '10.2.2.3', 80)).to.equal(false);
    expect(permits(17, '10.1.2.3', 80)).to.equal(false);
    expect(permits(1, '192.0.2.1', 0x0800)).to.equal(true);
    expect(permits(58, '2001:db8::1', 0x8000)).to.equal(true);
  });

  it('takes /0 and /32 for what they are', () => {
    const of = (source: string) =>
      inboundFilterOf([{ action: 'permit', protocol: 'any', fromPort: 0, toPort: 65_535, source }]);
    expect(of('0.0.0.0/0').permits(6, addr('255.255.255.255'), 0, 1, 1, false)).to.equal(true);
    expect([
      of('203.0.113.7/32').permits(6, addr('203.0.113.7'), 0, 1, 1, false),
      of('203.0.113.7/32').permits(6, addr('203.0.113.6'), 0, 1, 1, false),
    ]).to.deep.equal([true, false]);
    expect(
      of('203.0.113.7/24').permits(6, addr('203.0.113.200'), 0, 1, 1, false),
      'host bits do not matter',
    ).to.equal(true);
  });
});

describe('algorithm name', () => {
  it('is as swanctl writes it', () => {
    const names = (['aes128gcm16', 'aes256gcm16', 'aes128-sha256', 'aes256-sha256'] as const).map((suite) =>
      algorithmName(testSa({ spi: 0xc000_0001, suite })),
    );
    expect(names).to.deep.equal([
      'AES_GCM_16-128',
      'AES_GCM_16-256',
      'AES_CBC-128/HMAC_SHA2_256_128',
      'AES_CBC-256/HMAC_SHA2_256_128',
    ]);
  });
});

describe('stop-list', () => {
  it('stops in reverse, once, each even if one before it failed, and throws the first failure', async () => {
    const stops = new StopList();
    const order: number[] = [];
    stops.add(() => void order.push(1));
    stops.add(() => {
      throw new Error('second');
    });
    stops.add(async () => {
      order.push(3);
      throw new Error('third');
    });
    const ends = await Promise.allSettled([stops.close(), stops.close()]);
    expect(order).to.deep.equal([3, 1]);
    expect(ends.map((end) => (end.status === 'rejected' ? String(end.reason) : ''))).to.deep.equal([
      'Error: third',
      'Error: third',
    ]);
    await stops.finished;
  });

  it('rejects `finished` when the agent cannot go on', async () => {
    const stops = new StopList();
    stops.fail(new Error('the TUN is gone'));
    let caught: unknown;
    await stops.finished.catch((error: unknown) => {
      caught = error;
    });
    expect(String(caught)).to.equal('Error: the TUN is gone');
  });
});
