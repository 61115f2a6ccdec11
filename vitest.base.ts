import type { ViteUserConfig } from 'vitest/config'

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
    execArgv: [`--conditions=${source}`]
  }
}
