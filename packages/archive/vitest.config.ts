import type { ViteUserConfig } from 'vitest/config'
import { project } from '../../vitest.base.ts'

// Most tests open archives on a disk, each with worker threads, and the machine may have two cores and other work.
const config: ViteUserConfig = { ...project, test: { ...project.test, testTimeout: 30_000 } }
export default config
