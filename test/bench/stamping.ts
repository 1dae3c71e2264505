/**
 * What stamping a packet costs the routing host, beside opening and sealing it (the cryptography of the funnel) in the same run, with node:crypto
 * and with the addon by OpenSSL; `stamp`, how often stamping goes into sealing, is the addon's. And what the addon's peek costs:
 * `node --import tsx test/bench/stamping.ts`. Prints one JSON object; times are medians in nanoseconds of one packet.
 */
import { randomBytes } from 'node:crypto';
import { Bench } from 'tinybench';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { KEEP } from '../../src/base/verdict.ts';
import type { NewLinkCipher } from '../../src/ipsec/link-cipher.ts';
import { LINK_KIND, LinkHeaders, LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { LinkNativeCipher } from '../../src/io/link-native-cipher.ts';
import { NativePeek } from '../../src/io/native-peek.ts';
import { NativeStamper } from '../../src/io/native-stamper.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import { tcp } from '../support/inner-packets.ts';
import { SETTING, StampingPair } from '../support/stamping.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { newLinkNodeCipher } from '../support/link-seal.ts';
import { type Measurement, median as medianOf, ratioOf } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const EPOCH = SETTING.epoch;
/** What is sealed is 1408 bytes then. */
const FULL_BYTES = 1404;
/** Packets in one sample. */
const PACKETS = 64;
const SAMPLES = 1000;

/** The bytes of `batch` as they are now, to work on again. */
function restorer(batch: TestBatch): () => void {
  const slab = Buffer.from(batch.slab);
  const [offset, length] = [Uint32Array.from(batch.offset), Uint32Array.from(batch.length)];
  return () => {
    slab.copy(batch.slab);
    batch.offset.set(offset);
    batch.length.set(length);
    batch.verdict.fill(KEEP);
  };
}

function must(verdict: number | undefined): void {
  if (verdict !== KEEP) throw new Error(`verdict ${verdict}`);
}

async function measure(innerBytes: number): Promise<Record<string, number>> {
  const inner = Buffer.alloc(innerBytes, 0x5a);
  const pair = new StampingPair();
  // Counters of a packet are its own, so each sample needs new ones: the header is made again, outside of what is timed.
  let counter = 1;
  const toStamp = new TestBatch(Array.from({ length: PACKETS }, () => inner));
  const restoreInner = restorer(toStamp);
  const sealAll = () => {
    restoreInner();
    for (let i = 0; i < PACKETS; i++) toStamp.number(i, 0n, (3n << 48n) | BigInt(counter++));
    pair.target.sealForStamp(toStamp, () => pair.sealer);
  };

  const link = { keyId: 1, key: KeyMaterial.copyOf(randomBytes(32)) };
  const toFunnel = new TestBatch(Array.from({ length: PACKETS }, () => inner));
  const headers = new LinkHeaders();
  headers.begin(PACKETS);
  for (let i = 0; i < PACKETS; i++) headers.mark(i, LINK_KIND.FUNNEL, 0, 1);
  new LinkSealer(newLinkNodeCipher(link)).seal(toFunnel, headers, EPOCH);
  toFunnel.verdict.forEach(must);
  const restoreSealed = restorer(toFunnel);
  let opener = new LinkOpener();
  const toOpen = (newCipher: NewLinkCipher) => {
    restoreSealed();
    opener = new LinkOpener();
    opener.install(newCipher(link));
    for (let i = 0; i < PACKETS; i++) toFunnel.number(i, BigInt(i + 1), (1n << 48n) | BigInt(counter++));
  };

  const addon = new EspNativeCrypto({ library: 'openssl', randomBytes });
  addon.install(0, pair.sa);
  const toSeal = new TestBatch(Array.from({ length: PACKETS }, () => inner));
  const restoreSeal = restorer(toSeal);
  const stamper = new NativeStamper();
  const { link: linkKey, check } = pair;
  stamper.install(0, { sa: pair.sa, epoch: EPOCH, link: linkKey, check });
  toStamp.senderId.fill(3);
  const peeker = new Peeker(new NativePeek());
  peeker.install(0, { ...pair.sa, mode: 'tunnel', destinationSelectors: [] });
  const toPeek = new TestBatch(
    Array.from({ length: PACKETS }, () => tcp({ data: 'x'.repeat(innerBytes - 40) })),
  );
  for (let i = 0; i < PACKETS; i++) toPeek.number(i, BigInt(i + 1), (1n << 48n) | BigInt(counter++));
  toPeek.nextHeader.fill(4);
  addon.seal(toPeek);
  toPeek.espOffset.set(toPeek.offset);
  toPeek.espLength.set(toPeek.length);

  // So many samples, not so much time: what makes packets anew before each takes a hundred times what is timed.
  const bench = new Bench({ time: 0, iterations: SAMPLES, warmupTime: 0, warmupIterations: SAMPLES / 5 });
  bench
    .add(
      'stamp',
      () => {
        for (let i = 0; i < PACKETS; i++) {
          must(pair.stamper.accept(toStamp, i, EPOCH, 3));
          must(pair.stamper.stamp(toStamp, i, 0, i + 1));
        }
      },
      { beforeEach: sealAll },
    )
    .add(
      'funnel',
      () => {
        opener.open(toFunnel, EPOCH, headers);
        pair.target.seal(toFunnel);
      },
      { beforeEach: () => toOpen(newLinkNodeCipher), afterEach: () => toFunnel.verdict.forEach(must) },
    )
    .add(
      'addon funnel',
      () => {
        opener.open(toFunnel, EPOCH, headers);
        addon.seal(toFunnel);
      },
      {
        beforeEach: () => toOpen((key) => new LinkNativeCipher('openssl', key)),
        afterEach: () => toFunnel.verdict.forEach(must),
      },
    );
  bench
    .add(
      'addon stamp',
      () => {
        stamper.accept(toStamp, EPOCH);
        stamper.stamp(toStamp);
      },
      {
        beforeEach: () => {
          sealAll();
          toStamp.sequenceHigh.fill(0);
          toStamp.sequenceLow.fill(counter);
        },
        afterEach: () => {
          toStamp.verdict.forEach(must);
        },
      },
    )
    .add(
      'addon seal',
      () => {
        addon.seal(toSeal);
      },
      {
        beforeEach: () => {
          restoreSeal();
          for (let i = 0; i < PACKETS; i++) toSeal.number(i, BigInt(i + 1), (1n << 48n) | BigInt(counter++));
        },
        afterEach: () => {
          toSeal.verdict.forEach(must);
        },
      },
    )
    .add(
      'addon peek',
      () => {
        peeker.peek(toPeek);
      },
      {
        afterEach: () => {
          toPeek.verdict.forEach(must);
        },
      },
    );
  await bench.run();
  const median = (task: string) => {
    const result = bench.getTask(task)?.result;
    const latency = result !== undefined && 'latency' in result ? result.latency : undefined;
    if (latency === undefined) throw new Error(`${task} did not run`);
    return Math.round((latency.p50 * 1e6) / PACKETS);
  };
  const [stamp, funnel] = [median('stamp'), median('funnel')];
  const [addonStamp, addonSeal] = [median('addon stamp'), median('addon seal')];
  return {
    [`stamp_ns_${innerBytes}`]: stamp,
    [`open_and_seal_ns_${innerBytes}`]: funnel,
    [`ratio_${innerBytes}`]: Math.round((stamp / funnel) * 100) / 100,
    [`addon_stamp_ns_${innerBytes}`]: addonStamp,
    [`addon_seal_ns_${innerBytes}`]: addonSeal,
    [`addon_open_and_seal_ns_${innerBytes}`]: median('addon funnel'),
    [`addon_peek_ns_${innerBytes}`]: median('addon peek'),
  };
}

const rounds = new Map<string, number[]>();
for (let n = 0; n < ROUNDS; n++) {
  for (const innerBytes of [64, FULL_BYTES])
    for (const [figure, value] of Object.entries(await measure(innerBytes)))
      rounds.set(figure, [...(rounds.get(figure) ?? []), value]);
}
const of = (figure: string) => rounds.get(`${figure}_ns_${FULL_BYTES}`) ?? [];
const stamp: Measurement = {
  ...ratioOf(of('addon_stamp'), of('addon_seal')),
  measured: `stamping ${PACKETS} packets of ${FULL_BYTES} bytes, AES-128-GCM, against sealing them, both by the addon with OpenSSL`,
  parts: { 'stamp ns': medianOf(of('addon_stamp')), 'seal ns': medianOf(of('addon_seal')) },
};
const figures = Object.fromEntries([...rounds].map(([figure, values]) => [figure, medianOf(values)]));
console.log(JSON.stringify({ bench: 'stamping', rounds: ROUNDS, ...figures, rows: { stamp } }));
