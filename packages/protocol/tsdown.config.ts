import type { UserConfig } from 'tsdown'
import { library } from '../../tsdown.base.ts'

const config: UserConfig = { ...library, entry: ['src/index.ts', 'src/legacy/index.ts', 'src/node/index.ts', 'src/testing/index.ts'] }

export { config as default }
