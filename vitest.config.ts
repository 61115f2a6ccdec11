import type { ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = {
  // Many tests wait for processes and disks, so two files at a time keep two cores busy; the default leaves one idle.
  test: { projects: ['packages/*', 'apps/*', 'e2e', 'bench'], passWithNoTests: true, maxWorkers: 2 }
}

export default config
