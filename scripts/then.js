// pnpm hands what follows a script's name to the script: `pnpm --filter @filesync/discovery build test` would pass
// "test" to the build. So the build ends with this, which runs the scripts that are named there.
import { spawnSync } from 'node:child_process'

for (const script of process.argv.slice(2)) {
  const { status } = spawnSync('pnpm', ['run', script], { stdio: 'inherit', shell: process.platform === 'win32' })
  if (status !== 0) process.exit(status ?? 1)
}
