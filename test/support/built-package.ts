import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { must, run, type RunResult } from '../../src/lab/run.ts';

const TSC = `${PROJECT_ROOT}/node_modules/.bin/tsc`;

/** As a user has it: strict, and our declarations are checked too. */
const CONSUMER = {
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    moduleResolution: 'nodenext',
    target: 'es2023',
    types: ['node'],
    noEmitOnError: true,
  },
  include: ['*.mts'],
};

/** This package built and installed in a folder of its own, where a consumer imports it by its name. */
export class BuiltPackage {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'vici-consumer-'));

  static async build(): Promise<BuiltPackage> {
    const built = new BuiltPackage();
    const modules = `${built.#folder}/node_modules`;
    const home = `${modules}/strongswan-dvipa`;
    mkdirSync(home, { recursive: true });
    cpSync(`${PROJECT_ROOT}/package.json`, `${home}/package.json`);
    const { dependencies } = JSON.parse(readFileSync(`${home}/package.json`, 'utf8')) as {
      dependencies: object;
    };
    for (const name of [...Object.keys(dependencies), '@types']) {
      symlinkSync(`${PROJECT_ROOT}/node_modules/${name}`, `${modules}/${name}`);
    }
    await must([TSC, '-p', `${PROJECT_ROOT}/tsconfig.build.json`, '--outDir', `${home}/dist`]);
    writeFileSync(`${built.#folder}/tsconfig.json`, JSON.stringify(CONSUMER));
    return built;
  }

  /** Compiles the consumer's modules, each `name.mts`. What the compiler said; empty: nothing is wrong. */
  async compile(modules: Readonly<Record<string, string>>): Promise<string> {
    for (const [name, code] of Object.entries(modules)) writeFileSync(`${this.#folder}/${name}.mts`, code);
    const { stdout, stderr } = await run([TSC, '-p', '.'], { cwd: this.#folder });
    return stdout + stderr;
  }

  /** Runs a compiled module. */
  execute(name: string, ...args: string[]): Promise<RunResult> {
    return run([process.execPath, `${name}.mjs`, ...args], { cwd: this.#folder, timeoutMs: 20_000 });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
