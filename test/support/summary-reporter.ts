import { appendFileSync } from 'node:fs';
import Mocha from 'mocha';

/** What {@link skipBecause} leaves on a skipped test for the reporter. */
interface SkippedTest extends Mocha.Test {
  skipReason?: string;
}

/**
 * Skips the running test and says why. A skip without a reason is a failure of this reporter's run: whoever reads
 * "N skipped" must be able to see what was not proved.
 */
export function skipBecause(context: Mocha.Context, reason: string): never {
  (context.test as SkippedTest).skipReason = reason;
  return context.skip();
}

/** What is kept of a failure for the end of the whole run, where a log that is cut in the middle still shows it. */
const FAILURE_LINES = 12;
const FAILURE_COLUMNS = 300;

/**
 * Prints failures, skips with their reasons, and totals; appends `passed failed skipped` to the file named by
 * DVIPA_COUNTS, from which scripts/test makes its last line, and each failure to the file named by DVIPA_FAILURES, which it
 * prints before that line. With DVIPA_TEST_NAMES every test is printed as it ends.
 */
export default class SummaryReporter extends Mocha.reporters.Base {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const printNames = process.env['DVIPA_TEST_NAMES'] !== undefined;
    let skipped = 0;
    runner.on('pass', (test) => {
      if (printNames) console.log(`  ok      ${test.fullTitle()} (${test.duration ?? 0} ms)`);
    });
    const failures: string[] = [];
    runner.on('fail', (test, error: Error) => {
      if (printNames) console.log(`  FAILED  ${test.fullTitle()}`);
      const why = `${error.message}\n${error.stack ?? ''}`.split('\n').slice(0, FAILURE_LINES);
      failures.push(
        `FAILED ${test.fullTitle()}`,
        ...why.map((line) => `  ${line.slice(0, FAILURE_COLUMNS)}`),
      );
    });
    runner.on('pending', (test: SkippedTest) => {
      skipped += 1;
      console.log(`  SKIPPED ${test.fullTitle()}: ${test.skipReason ?? 'no reason given'}`);
    });
    runner.once('end', () => {
      this.epilogue();
      const list = process.env['DVIPA_FAILURES'];
      if (list !== undefined) appendFileSync(list, failures.map((line) => `${line}\n`).join(''));
      const file = process.env['DVIPA_COUNTS'];
      if (file === undefined) return;
      appendFileSync(file, `${runner.stats?.passes ?? 0} ${runner.stats?.failures ?? 0} ${skipped}\n`);
    });
  }
}
