declare module 'node-gyp-build' {
  /** Loads the addon built for this machine from a package folder. */
  export default function load(folder: string): unknown;
}
