import type { ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = {
  test: { projects: ['packages/*', 'apps/*', 'bench', 'e2e'], passWithNoTests: true }
}

export default config
