import { spawnSync } from 'node:child_process'

const program = new URL('./scan-program.ts', import.meta.url).pathname

/** The output of a shell script in its own mount namespace; undefined if that is not permitted. */
export function inMountNamespace (script: string): string | undefined {
  const run = spawnSync('sh', ['-c', 'exec unshare -m sh -ec "$1"', 'sh', script], { encoding: 'utf8' })
  return run.status === 0 ? run.stdout : undefined
}

/** The command that runs `scan-program.ts`, for a script. */
export function scanCommand (request: { readonly root: string, readonly excluded?: string }): string {
  return `${process.execPath} --conditions=@filesync/source ${program} '${JSON.stringify(request)}'`
}
