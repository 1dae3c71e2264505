import { InvalidArgumentError } from 'commander';

/** Parses an option's value that is a whole number from `from` to `to`. */
export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < from || number > to)
      throw new InvalidArgumentError(`expected a number from ${from} to ${to}.`);
    return number;
  };
}
