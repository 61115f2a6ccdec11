import { fileURLToPath } from 'node:url'
import type { ViteUserConfig } from 'vitest/config'

// No test sends anything off this machine. By way of the environment, so that what a test starts is bound by it too; by
// --require, because a worker thread may run its first line before what --import names.
const guard = `--require=${JSON.stringify(fileURLToPath(new URL('./scripts/loopback-only.js', import.meta.url)))}`
const options = process.env.NODE_OPTIONS ?? ''
if (!options.includes(guard)) process.env.NODE_OPTIONS = `${options} ${guard}`.trim()

const source = '@filesync/source'
const conditions = [source, 'module', 'node', 'development|production']

/** Workspace packages resolve to their TypeScript sources: in modules that vitest transforms, and in workers that Node loads. */
export const project: ViteUserConfig = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: [source, 'node', 'module-sync'] } },
  test: {
    include: ['test/**/*.test.ts'],
    passWithNoTests: true,
    pool: 'forks',
    // Many tests wait for processes and disks, so three files at a time keep two cores busy.
    maxWorkers: 3,
    // No file affects the next one; a process for each would add a tenth to the time.
    isolate: false,
    execArgv: [`--conditions=${source}`]
  }
}
