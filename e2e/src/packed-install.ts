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

/** Packed packages, and where to install them. */
export interface PackedInstall {
  readonly into: string
  readonly tarballs: readonly string[]
}

/**
 * Installs packed packages as a machine of another kind would get them, with its Node from the npm registry.
 *
 * @param node a package that holds one binary of Node, with its version
 */
export function installFor (target: Target, { into, tarballs, node }: PackedInstall & { readonly node: string }): void {
  const { os, cpu, libc } = target
  const kind = [`--os=${os}`, `--cpu=${cpu}`, ...(libc === undefined ? [] : [`--libc=${libc}`])]
  install({ into, tarballs: [node, ...tarballs] }, [...kind, '--force'])
}

/** Installs packed packages for this machine, without any package that is optional. */
export function installWithoutOptional (packed: PackedInstall): void {
  install(packed, ['--omit=optional'])
}

function install ({ into, tarballs }: PackedInstall, flags: readonly string[]): void {
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, 'package.json'), '{ "private": true, "type": "module" }\n')
  execFileSync(
    'npm',
    [
      'install',
      ...flags,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      '--loglevel=error',
      ...tarballs,
    ],
    { cwd: into, stdio: 'inherit' }
  )
}
