/** The package without its native part and without compiled code: has no types of its own. */
declare module 'msgpackr/index-no-eval' {
  export { Packr, Unpackr } from 'msgpackr';
}
