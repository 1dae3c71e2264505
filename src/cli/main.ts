#!/usr/bin/env node
import { runProgram } from './program.ts';

// `dvipa sas | head` closes our standard output early; that is no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2));
