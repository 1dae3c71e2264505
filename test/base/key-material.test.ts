import { inspect } from 'node:util';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';

const SECRET = 'a very secret key, 32 bytes long';
const key = () => KeyMaterial.copyOf(Buffer.from(SECRET));

describe('key-material', () => {
  it('prints nothing of its bytes, however it is printed', () => {
    const printed = [
      key().toString(),
      JSON.stringify({ key: key() }),
      inspect(key(), { showHidden: true, depth: 9 }),
      inspect({ nested: { key: key() } }, { depth: 9 }),
      String([key()]),
      JSON.stringify(Object.entries(key())),
    ].join('\n');
    expect(printed).to.include('<redacted>');
    for (const form of [
      SECRET,
      Buffer.from(SECRET).toString('hex'),
      Buffer.from(SECRET).toString('base64'),
      '97,32,118',
    ]) {
      expect(printed).to.not.include(form);
    }
  });

  it('copies: what the caller does with the source does not matter', () => {
    const source = Buffer.from(SECRET);
    const copy = KeyMaterial.copyOf(source);
    source.fill(0);
    expect(copy.reveal().toString()).to.equal(SECRET);
    expect(copy.lengthBytes).to.equal(32);
  });

  it('is zeros after wipe, in place, and refuses to be used', () => {
    const wiped = key();
    const view = wiped.reveal();
    wiped.wipe();
    wiped.wipe();
    expect(view.every((byte) => byte === 0)).to.equal(true);
    expect(wiped.isWiped).to.equal(true);
    expect(() => wiped.reveal()).to.throw('wiped');
  });

  it("shares no byte with other keys, and its place is nobody else's after wipe", () => {
    const keys = Array.from({ length: 200 }, (_, n) =>
      KeyMaterial.copyOf(Buffer.alloc((n % 140) + 1, n + 1)),
    );
    const views = keys.map((one) => one.reveal());
    keys.forEach((one, n) => n % 2 === 0 && one.wipe());
    const later = Array.from({ length: 200 }, () => KeyMaterial.copyOf(Buffer.alloc(20, 0xff)));
    views.forEach((view, n) => {
      expect(view.length).to.equal((n % 140) + 1);
      expect(view.every((byte) => byte === (n % 2 === 0 ? 0 : n + 1))).to.equal(true);
    });
    expect(later.every((one) => one.reveal().every((byte) => byte === 0xff))).to.equal(true);
  });

  it('tells its users once that it was wiped, but not those that have let go of it', () => {
    const material = key();
    const told: string[] = [];
    const user = (name: string) => ({ keyWiped: () => void told.push(`${name} ${material.isWiped}`) });
    const [first, gone, last] = [user('first'), user('gone'), user('last')];
    for (const one of [first, gone, last]) material.addUser(one);
    material.removeUser(gone);
    material.wipe();
    material.wipe();
    expect(told).to.deep.equal(['first true', 'last true']);
    expect(() => material.addUser(first)).to.throw('was wiped');
  });
});
