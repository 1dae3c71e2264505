// Exits 0 if node_modules holds exactly the versions that package-lock.json asks for, else 1.
import { readFileSync } from 'node:fs';

const packagesOf = (file) => JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).packages;

try {
  const wanted = packagesOf('package-lock.json');
  const present = packagesOf('node_modules/.package-lock.json');
  const stale = Object.entries(wanted).filter(
    ([path, { version, optional }]) =>
      path !== '' && (present[path] === undefined ? optional !== true : present[path].version !== version),
  );
  process.exitCode = stale.length === 0 ? 0 : 1;
} catch {
  process.exitCode = 1;
}
