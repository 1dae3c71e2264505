import { expect } from 'chai';
import { initiate, openSession } from '../../src/vici/index.ts';
import { BuiltPackage } from '../support/built-package.ts';
import { CharonPair, missingForCharonPair } from '../support/charon-pair.ts';
import { examplesOf } from '../support/page-examples.ts';

/** The examples of docs/vici.md in their order, by users of the built package, against one real charon. */
describe('docs/vici.md with a real charon', function () {
  this.timeout(60_000);
  const examples = examplesOf('docs/vici.md');
  let pair: CharonPair;
  let built: BuiltPackage;

  before(async function () {
    const missing = missingForCharonPair();
    if (missing.length > 0) {
      console.log(`    SKIPPED, the examples of docs/vici.md do not run here: no ${missing.join(', ')}`);
      this.skip();
    }
    built = await BuiltPackage.build();
    expect(await built.compile(Object.fromEntries(examples.map(({ name, code }) => [name, code])))).to.equal(
      '',
    );
    pair = new CharonPair();
    await pair.start();
    const session = await openSession(pair.left.uri);
    await initiate(session, { child: 'web' }, { tryForMs: 5000, timeoutMs: 8000 });
    session.close();
  });
  after(async () => {
    built?.remove();
    await pair?.stop();
  });

  for (const { name, prints } of examples) {
    it(`docs/vici.md ${name} prints what the page says, and ends by itself`, async () => {
      const { stdout, stderr, status } = await built.execute(name, pair.left.uri);
      expect(stderr).to.equal('');
      expect(stdout).to.match(prints);
      expect(status).to.equal(0);
    });
  }
});
