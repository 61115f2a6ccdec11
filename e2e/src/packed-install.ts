import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Another kind of machine, in the words of package managers. */
export interface Target {
  readonly os: 'linux' | 'win32' | 'darwin'
  readonly cpu: 'x64' | 'arm64'
  readonly libc?: 'glibc' | 'musl'
}

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const PACKAGES = [
  'packages/protocol',
  'packages/discovery',
  'packages/identity',
  'packages/scanner',
  'packages/transfer',
  'packages/program',
  'apps/client',
]

/** Packs what the client consists of, as it would be published. The programs must have been built. */
export function packClient (into: string): string[] {
  mkdirSync(into, { recursive: true })
  for (const directory of PACKAGES)
    execFileSync('npx', ['-y', 'pnpm@12', 'pack', '--pack-destination', into], {
      cwd: join(REPOSITORY, directory),
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  return readdirSync(into).map(name => join(into, name))
}

/**
 * Installs packed packages as a machine of another kind would get them, with its Node from the npm registry.
 *
 * @param node a package that holds one binary of Node, with its version
 */
export function installFor (
  target: Target,
  { into, tarballs, node }: { readonly into: string, readonly tarballs: readonly string[], readonly node: string }
): void {
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, 'package.json'), '{ "private": true, "type": "module" }\n')
  const { os, cpu, libc } = target
  const kind = [`--os=${os}`, `--cpu=${cpu}`, ...(libc === undefined ? [] : [`--libc=${libc}`])]
  execFileSync(
    'npm',
    [
      'install',
      ...kind,
      '--force',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      '--loglevel=error',
      node,
      ...tarballs,
    ],
    { cwd: into, stdio: 'inherit' }
  )
}
