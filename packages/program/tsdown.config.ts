import type { UserConfig } from 'tsdown'
import { library } from '../../tsdown.base.ts'

const config: UserConfig = { ...library, entry: ['src/index.ts', 'src/node/index.ts'] }
export default config
