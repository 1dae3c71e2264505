/**
 * What stamping a packet costs the routing host, beside opening and sealing it (the cryptography of the funnel) in the same run:
 * `node --import tsx test/bench/stamping.ts`. Prints one JSON object; times are medians in nanoseconds of one packet.
 */
import { randomBytes } from 'node:crypto';
import { Bench } from 'tinybench';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { KEEP } from '../../src/base/verdict.ts';
import { LinkHeader, LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { SETTING, StampingPair } from '../support/stamping.ts';
import { TestBatch } from '../support/crypto-batch.ts';

const EPOCH = SETTING.epoch;
/** Packets in one sample. */
const PACKETS = 64;

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
  const header = new LinkHeader();
  header.kind = 1;
  const toFunnel = new TestBatch(Array.from({ length: PACKETS }, () => inner));
  const sealer = new LinkSealer(link);
  for (let i = 0; i < PACKETS; i++) must(sealer.seal(toFunnel, i, header, EPOCH));
  const restoreSealed = restorer(toFunnel);
  let opener = new LinkOpener();

  const bench = new Bench({ time: 1000, warmupTime: 300 });
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
        for (let i = 0; i < PACKETS; i++) must(opener.open(toFunnel, i, EPOCH, header));
        pair.target.seal(toFunnel);
      },
      {
        beforeEach: () => {
          restoreSealed();
          opener = new LinkOpener();
          opener.install(link);
          for (let i = 0; i < PACKETS; i++)
            toFunnel.number(i, BigInt(i + 1), (1n << 48n) | BigInt(counter++));
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
  return {
    [`stamp_ns_${innerBytes}`]: stamp,
    [`open_and_seal_ns_${innerBytes}`]: funnel,
    [`ratio_${innerBytes}`]: Math.round((stamp / funnel) * 100) / 100,
  };
}

const results: Record<string, number | string> = { bench: 'stamping' };
for (const innerBytes of [64, 1400]) Object.assign(results, await measure(innerBytes));
console.log(JSON.stringify(results));
