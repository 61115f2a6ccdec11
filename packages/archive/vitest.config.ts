import { fileURLToPath } from 'node:url'
import type { ViteUserConfig } from 'vitest/config'
import { project } from '../../vitest.base.ts'

// Most tests open archives on a disk, each with worker threads, and the machine may have two cores and other work. The
// threads load their sources without vitest; compiled code is kept for them, which halves the time of most tests.
const env = { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url)) }
const config: ViteUserConfig = { ...project, test: { ...project.test, testTimeout: 30_000, env } }
export default config
