import type { ViteUserConfig } from 'vitest/config'
import { project } from '../../vitest.base.ts'

// Sockets, processes and synced files: on a busy machine they take their time, and none of it is what is tested.
const patient: ViteUserConfig = { ...project, test: { ...project.test, testTimeout: 30_000 } }

export default patient
