import type { UserConfig } from 'tsdown'

/**
 * A few files a package: a program that loads each of some two hundred modules by itself takes twice as long to start.
 * Shared chunks are placed where a relative path means the same as in src: beside the workers, or beside main.
 */
const base: UserConfig = {
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
  outputOptions: { chunkFileNames: 'node/[name].js' },
  dts: { sourcemap: true }
}

/**
 * A package with threads. Every thread loads what its file imports, so a worker carries the few parts of the protocol
 * that it uses, instead of the whole of it with its schemas: 30 ms of processor time for each thread (measured).
 * So that a fix in the protocol reaches the worker, the two packages are released together: `fixed` in .changeset/config.json.
 */
export const libraryWithWorkers: UserConfig[] = [
  { ...library, entry: ['src/index.ts', 'src/node/index.ts', 'src/testing/index.ts'] },
  {
    ...base,
    entry: ['src/node/*-worker.ts'],
    clean: false,
    dts: false,
    deps: { alwaysBundle: [/^@filesync\/protocol/], onlyBundle: false },
    // From the sources, where what is not used can be told apart and left out.
    inputOptions: { resolve: { conditionNames: ['@filesync/source', 'import', 'node', 'default'] } },
    outputOptions: { chunkFileNames: 'node/[name].js' }
  }
]

export const program: UserConfig = {
  ...base,
  outputOptions: { chunkFileNames: '[name].js' },
  entry: ['src/main.ts', 'src/index.ts'],
  dts: { sourcemap: true }
}
