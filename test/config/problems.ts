import { expect } from 'chai';
import { ConfigError, parseConfig } from '../../src/config/index.ts';

/** The problems of `text`, one per line, as `dvipa` prints them for a file `dvipa.yaml`. */
export function problemsOf(text: string): string[] {
  try {
    parseConfig(text, 'dvipa.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

/** The example with one thing in it changed. */
export function change(text: string, from: string, to: string): string {
  expect(text, 'the example has what the test changes').to.contain(from);
  return text.replace(from, to);
}
