import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';

const FUZZ = 'test/interop/support/packet-io-fuzz.ts';
const SANITIZER = /AddressSanitizer|UndefinedBehaviorSanitizer|runtime error:/;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function libasan(): string {
  return execFileSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
}

/** A script in a namespace of its own, on the build with sanitizers. */
function sanitized(script: string, env: Readonly<Record<string, string>> = {}): Outcome {
  const options = { cwd: PROJECT_ROOT, encoding: 'utf8' as const, env: { ...process.env, ...env } };
  return spawnSync(join(PROJECT_ROOT, 'scripts/test-addons-asan'), [script], {
    ...options,
    maxBuffer: 1 << 26,
  });
}

/**
 * The addon in C under AddressSanitizer and UndefinedBehaviorSanitizer. Leaks are not looked for (node keeps much until it
 * exits): the scripts count descriptors. packet-io.test.ts runs the misuse by hand (packet-io-abuse.ts) the same way.
 */
describe('packet-io addon under ASan and UBSan', function () {
  this.timeout(120_000);

  it('takes random calls: misuse throws, nothing else does, and no sanitizer complains', () => {
    const { status, stdout, stderr } = sanitized(FUZZ);
    expect({ status, stdout, stderr }).to.deep.equal({
      status: 0,
      stdout: 'packet-io: 12000 random calls, no complaint\n',
      stderr: '',
    });
  });

  it('cuts and joins segments, hostile ones too, without a complaint', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dvipa-sanitized-'));
    try {
      const addon = join(folder, 'tun-pair.node');
      const env = { ...process.env, SANITIZE: '1' };
      execFileSync(join(PROJECT_ROOT, 'test/support/tun-pair/build'), [addon], { env });
      const files = ['tun-cut', 'tun-join', 'tun-queues'].map((name) => `test/io/${name}.test.ts`);
      const run = spawnSync(
        process.execPath,
        ['node_modules/mocha/bin/mocha.js', '--timeout', '60000', ...files],
        {
          cwd: PROJECT_ROOT,
          encoding: 'utf8',
          env: {
            ...process.env,
            LD_PRELOAD: libasan(),
            ASAN_OPTIONS: 'detect_leaks=0:halt_on_error=1',
            UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
            DVIPA_TUN_PAIR: addon,
          },
        },
      );
      expect(run.stderr).to.equal('');
      expect(run.status, run.stdout).to.equal(0);
      expect(run.stdout).to.match(/\b[1-9]\d passing/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('does its work between network namespaces without a complaint', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dvipa-sanitized-'));
    try {
      execFileSync(join(PROJECT_ROOT, 'scripts/sanitize-addons'), { cwd: PROJECT_ROOT });
      const only = ['--grep', '^(packet-io|capture ring) in network namespaces', '--timeout', '60000'];
      const run = spawnSync(
        join(PROJECT_ROOT, 'node_modules/.bin/mocha'),
        [...only, 'test/interop/packet-io.test.ts', 'test/interop/capture-ring.test.ts'],
        {
          cwd: PROJECT_ROOT,
          encoding: 'utf8',
          env: {
            ...process.env,
            DVIPA_WORKER_PRELOAD: libasan(),
            // Into files: the workers' own output is nobody's.
            ASAN_OPTIONS: `detect_leaks=0:halt_on_error=1:log_path=${folder}/asan`,
            UBSAN_OPTIONS: `halt_on_error=1:print_stacktrace=1:log_path=${folder}/ubsan`,
            DVIPA_PACKET_IO: 'build/sanitized/packet-io',
            DVIPA_NETNS_PREFIX: 'asan-',
          },
        },
      );
      const reports = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
      expect(reports).to.deep.equal([]);
      expect(run.status, run.stdout + run.stderr).to.equal(0);
      expect(run.stdout).to.match(/\b[1-9]\d+ passing/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is found out by AddressSanitizer when its check of slots is broken', () => {
    const { status, stdout, stderr } = sanitized(FUZZ, { BROKEN: '1', DVIPA_FUZZ_MODEL: 'off' });
    expect(status).to.not.equal(0);
    expect(stdout).to.equal('');
    expect(stderr).to.match(SANITIZER).and.to.contain('heap-buffer-overflow');
  });

  it('is found out by the model of its contract when its check of slots is broken', () => {
    const { status, stderr } = sanitized(FUZZ, { BROKEN: '1', DVIPA_FUZZ_MODEL: 'only' });
    expect(status).to.equal(1);
    expect(stderr).to.match(/receive\(.*\): must throw/);
    expect(stderr).to.not.match(SANITIZER);
  });
});

const CRYPTO_FUZZ = 'test/interop/support/packet-crypto-fuzz.ts';
const PEEK_FUZZ = 'test/interop/support/packet-peek-fuzz.ts';

describe('packet-crypto addon under ASan and UBSan', function () {
  this.timeout(120_000);

  it('takes random calls: misuse throws, nothing else does, and no sanitizer complains', () => {
    const { status, stdout, stderr } = sanitized(CRYPTO_FUZZ);
    expect({ status, stdout, stderr }).to.deep.equal({
      status: 0,
      stdout: 'packet-crypto: 6000 random calls, no complaint\n',
      stderr: '',
    });
  });

  it('is found out by AddressSanitizer when its check of slots is broken', () => {
    const { status, stdout, stderr } = sanitized(CRYPTO_FUZZ, { BROKEN: '1', DVIPA_FUZZ_MODEL: 'off' });
    expect(status).to.not.equal(0);
    expect(stdout).to.equal('');
    expect(stderr).to.match(SANITIZER).and.to.contain('heap-buffer-overflow');
  });

  it('takes random calls of peek and stamping', () => {
    const { status, stdout, stderr } = sanitized(PEEK_FUZZ);
    expect({ status, stdout, stderr }).to.deep.equal({
      status: 0,
      stdout: 'packet-crypto: 6000 random calls of peek and stamping, no complaint\n',
      stderr: '',
    });
  });

  it('is found out by AddressSanitizer when the checks of peek and stamping are broken', () => {
    const { status, stderr } = sanitized(PEEK_FUZZ, { BROKEN: '1', DVIPA_FUZZ_MODEL: 'off' });
    expect(status).to.not.equal(0);
    expect(stderr).to.match(SANITIZER).and.to.contain('heap-buffer-overflow');
  });
});
