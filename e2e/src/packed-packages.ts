import { execFile, execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/*
 * Packages as they are published, installed into an empty directory by npm or pnpm without any network: what they depend on is
 * packed from this repository's node_modules, and every name is resolved to those files.
 */

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
type PackageManager = 'npm' | 'pnpm'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

function manifestOf (directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
}

/** Runs pnpm: that which runs the tests, that of the path, or that of the npm cache. */
function pnpm (words: readonly string[], cwd: string): void {
  const own = process.env['npm_execpath'] ?? ''
  const [command, ...first] = own.includes('pnpm') && existsSync(own)
    // It can be a program of its own, and not a script for Node.
    ? (/\.[cm]?js$/u.test(own) ? [process.execPath, own] : [own])
    : onPath('pnpm') ? ['pnpm'] : ['npx', '-y', '--prefer-offline', 'pnpm@12']
  execFileSync(command ?? '', [...first, ...words], { cwd, stdio: ['ignore', 'ignore', 'inherit'], env: outsideWorkspace() })
}

function onPath (program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some(directory => existsSync(join(directory, program)))
}

/** Without what the package manager that runs the tests, and the tests themselves, pass on to their children. */
function outsideWorkspace (): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_|NODE_OPTIONS$|NODE_PATH$|INIT_CWD$)/iu.test(name))
  return { ...Object.fromEntries(kept), npm_config_loglevel: 'error', npm_config_update_notifier: 'false' }
}

/** Packed packages of this repository and all that they depend on, by name. Made once, for several installations. */
export class PackedPackages {
  readonly #into: string
  readonly #files = new Map<string, string>()

  /** @param into an empty directory for the files */
  constructor (into: string) {
    this.#into = into
    mkdirSync(into, { recursive: true })
  }

  /** Packs a package of this repository, such as `packages/discovery`. It must have been built. Returns its name. */
  add (directory: string): string {
    const whole = join(REPOSITORY, directory)
    const manifest = manifestOf(whole)
    if (this.#files.has(manifest.name)) return manifest.name
    const before = new Set(globSync('*.tgz', { cwd: this.#into }))
    pnpm(['pack', '--pack-destination', this.#into], whole)
    const packed = globSync('*.tgz', { cwd: this.#into }).find(name => !before.has(name))
    if (packed === undefined) throw new Error(`${directory} was packed, but there is no file of it`)
    this.#files.set(manifest.name, join(this.#into, packed))
    this.#addDependencies(whole, manifest)
    return manifest.name
  }

  /** Packs a package that this repository depends on as a whole, such as `typescript`, for an installation that needs it. */
  addTool (name: string): void {
    this.#addInstalled(name, REPOSITORY)
  }

  /** The file of a package. */
  file (name: string): string {
    const found = this.#files.get(name)
    if (found === undefined) throw new Error(`${name} is not packed`)
    return found
  }

  /** All files, by the name of the package. */
  get files (): ReadonlyMap<string, string> {
    return this.#files
  }

  #addDependencies (directory: string, { dependencies, optionalDependencies }: Manifest): void {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) this.#addInstalled(name, directory)
  }

  #addInstalled (name: string, from: string): void {
    if (this.#files.has(name)) return
    const directory = installedAt(name, from)
    // A build for another kind of machine, which is not installed here.
    if (directory === undefined) return
    if (!directory.includes('node_modules')) {
      this.add(directory.slice(REPOSITORY.length))
      return
    }
    const manifest = manifestOf(directory)
    const file = join(this.#into, `${name.replace('@', '').replace('/', '-')}-${manifest.version}.tgz`)
    const temporary = `${file}.part`
    execFileSync('tar', ['-czf', temporary, '--exclude=./node_modules', '--transform=s,^\\.,package,', '-C', directory, '.'])
    renameSync(temporary, file)
    this.#files.set(name, file)
    this.#addDependencies(directory, manifest)
  }
}

/** Where a package that `from` depends on is installed. */
function installedAt (name: string, from: string): string | undefined {
  for (let directory = realpathSync(from); ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name)
    if (existsSync(candidate)) return realpathSync(candidate)
    if (dirname(directory) === directory) return undefined
  }
}

export interface Installation {
  readonly manager: PackageManager
  /** An empty directory. */
  readonly into: string
  /** What the program there depends on, and nothing else: with pnpm, anything else cannot be imported. */
  readonly names: readonly string[]
}

/** Installs packed packages into a directory, without network. */
export function installPacked (packed: PackedPackages, { manager, into, names }: Installation): void {
  mkdirSync(into, { recursive: true })
  const all = Object.fromEntries([...packed.files].map(([name, file]) => [name, `file:${file}`]))
  const dependencies = Object.fromEntries(names.map(name => [name, `file:${packed.file(name)}`]))
  const overrides = Object.fromEntries(Object.entries(all).filter(([name]) => !names.includes(name)))
  const manifest = { name: 'stranger', version: '1.0.0', private: true, type: 'module', dependencies }
  if (manager === 'npm') {
    writeFileSync(join(into, 'package.json'), JSON.stringify({ ...manifest, overrides }))
    const words = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', `--cache=${join(into, '.npm-cache')}`]
    execFileSync('npm', words, { cwd: into, stdio: ['ignore', 'ignore', 'inherit'], env: outsideWorkspace() })
  } else {
    writeFileSync(join(into, 'package.json'), JSON.stringify(manifest))
    writeFileSync(join(into, 'pnpm-workspace.yaml'), JSON.stringify({ overrides: all, packages: ['.'], pmOnFail: 'ignore' }))
    pnpm(['install', '--offline', '--ignore-scripts', '--no-frozen-lockfile', '--store-dir', join(into, '.store')], into)
  }
}

/** The first block of code in a README: its opening example. */
export function openingExample (directory: string): string {
  const readme = readFileSync(join(REPOSITORY, directory, 'README.md'), 'utf8')
  const example = /^```(?:ts|js)\n(.*?)^```/msu.exec(readme)?.[1]
  if (example === undefined) throw new Error(`${directory}/README.md has no example`)
  return example
}

/** What TypeScript says about a file with the strictest settings, as one line per complaint; '' if nothing. */
export async function checkTypes (directory: string, file: string): Promise<string> {
  const compiler = join(REPOSITORY, 'node_modules/typescript/bin/tsc')
  const settings = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'es2024',
    '--module', 'nodenext', '--typeRoots', join(REPOSITORY, 'node_modules/@types'), '--types', 'node', '--pretty', 'false']
  try {
    await promisify(execFile)(process.execPath, [compiler, ...settings, file], { cwd: directory, env: outsideWorkspace() })
    return ''
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

/** Runs a TypeScript file of an installation to its end. Rejects if it ends with a code other than 0. */
export async function runInstalled (
  directory: string, words: readonly string[], env: NodeJS.ProcessEnv = {},
): Promise<{ readonly stdout: string, readonly stderr: string }> {
  const guard = process.env['NODE_OPTIONS']
  const more = { ...env, ...(guard !== undefined && { NODE_OPTIONS: guard.replace(/--conditions=\S+/gu, '') }) }
  return await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', ...words], {
    cwd: directory, env: { ...outsideWorkspace(), ...more }, timeout: 60_000,
  })
}
