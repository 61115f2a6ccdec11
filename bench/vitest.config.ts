import type { ViteUserConfig } from 'vitest/config'
import { project } from '../vitest.base.ts'

// One test starts several processes, and the machine may have two cores and other work.
const config: ViteUserConfig = { ...project, test: { ...project.test, testTimeout: 60_000, hookTimeout: 60_000 } }

export default config
