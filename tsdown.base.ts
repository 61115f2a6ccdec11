import type { UserConfig } from 'tsdown'

/** Each file of src becomes one file of dist, so that workers are found beside the module that starts them. */
const base: UserConfig = {
  unbundle: true,
  root: 'src',
  platform: 'node',
  format: 'esm',
  target: 'node22',
  // .js and .d.ts, as package.json names them.
  fixedExtension: false,
  sourcemap: true,
  logLevel: 'warn',
  plugins: [{
    name: 'worker-urls',
    // A source starts './x-worker.ts' so that it runs unbuilt; its built twin starts './x-worker.js'.
    // The replacement keeps the length, so source maps stay true.
    transform: (code: string) => ({ code: code.replace(/(new URL\((['"])\.\.?\/[\w./-]*-worker)\.ts\2/g, '$1.js$2'), map: null })
  }]
}

export const library: UserConfig = {
  ...base,
  entry: ['src/index.ts', 'src/node/index.ts', 'src/testing/index.ts', 'src/node/*-worker.ts'],
  dts: { sourcemap: true }
}

export const program: UserConfig = { ...base, entry: ['src/main.ts', 'src/index.ts'], dts: { sourcemap: true } }
