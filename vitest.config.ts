import type { ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = {
  test: { projects: ['packages/*', 'apps/*', 'e2e', 'bench'], passWithNoTests: true }
}

export default config
