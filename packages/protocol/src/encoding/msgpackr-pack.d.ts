// The library's own declarations of this entry re-export '.', which means nothing where modules are resolved as Node does.
declare module 'msgpackr/pack' {
  export { Packr } from 'msgpackr'
}
