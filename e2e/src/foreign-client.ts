import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mirrorOf, SERVER_PROGRAM } from './programs.ts'
import type { Finished, RunningServer, Stage } from './programs.ts'
import { treeDifferences } from './trees.ts'

/** How programs of another kind of machine are run on this one. */
export interface ForeignMachine {
  /** What it is, for the output. */
  readonly name: string
  /** The command before the arguments of the client. */
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  /** Where the client's files lie, as this machine sees it. */
  readonly root: string
  /** A file below `root`, as the client sees it. */
  readonly path: (...names: string[]) => string
  /** Whether it has the rules of Windows for names, and a read-only attribute instead of modes. */
  readonly isWindows: boolean
}

const STEP_TIMEOUT_MS = 120_000
const POLL_MS = 200
const FIXED_SECONDS = 1_700_000_000

/** The area of the client in the archive. */
export const AREA = 'guest'

/** The folders of the client: one under the name of its directory, one under another name. */
export const FOLDERS = ['source', 'pictures'] as const
/** The directory of the second folder, below the machine's root. */
export const PICTURES = 'Ünïcödé 日本語/images'

/** Where a folder is, below the machine's root. */
export function directoryOf (folder: (typeof FOLDERS)[number]): string {
  return folder === 'pictures' ? PICTURES : folder
}

/** The client of another kind of machine against a server of this one, on loopback. What does not hold is thrown. */
export class ForeignClient {
  readonly machine: ForeignMachine
  readonly #stage: Stage
  readonly #server: RunningServer
  #outputs = 0

  constructor (machine: ForeignMachine, stage: Stage, server: RunningServer) {
    this.machine = machine
    this.#stage = stage
    this.#server = server
  }

  say (what: string): void {
    console.log(`${this.machine.name}: ${what}`)
  }

  /** A path below the machine's root, as this machine sees it. */
  at (...names: string[]): string {
    return join(this.machine.root, ...names)
  }

  /** Where the archive has what the client pushes from a directory. */
  archived (folder: string): string {
    return mirrorOf(this.#server, AREA, folder)
  }

  /** Writes a file at a whole second: not every system keeps all digits of a time. */
  write (path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.at(path)), { recursive: true })
    writeFileSync(this.at(path), content)
    this.setTime(path)
  }

  setTime (path: string): void {
    utimesSync(this.at(path), FIXED_SECONDS, FIXED_SECONDS)
  }

  /** Throws if a copy differs from a directory of the client in anything but the modes, which the machine may not have. */
  async expectCopy (folder: string, copy: string): Promise<void> {
    const differences = await treeDifferences(this.at(folder), copy, { modes: !this.machine.isWindows })
    if (differences.length > 0) throw new Error(`${copy} differs from ${folder}: ${differences.join(', ')}`)
  }

  /** Runs a command of the server. */
  async operate (...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#stage.run(SERVER_PROGRAM, [...args, '--state-dir', this.#server.stateDir])
    if (code !== 0) throw new Error(`filesync-server ${args.join(' ')} ended with ${code}: ${stderr}`)
    return stdout
  }

  /** Runs a command that connects to the server, and returns what it printed. */
  async expect (args: readonly string[], code: number): Promise<string> {
    const finished = await this.#run([...args, ...this.#flags, '--server', `127.0.0.1:${this.#server.listening.port}`])
    return this.#checked(args, code, finished)
  }

  /** Runs a command that asks no server. */
  async expectLocally (args: readonly string[], code: number): Promise<string> {
    return this.#checked(args, code, await this.#run([...args, ...this.#flags]))
  }

  /** As {@link expect}, with the last line of the output as a value. */
  async expectJson<T> (args: readonly string[], code: number): Promise<T> {
    const stdout = await this.expect([...args, '--json'], code)
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T
  }

  /** Runs a client that goes on while something is done. */
  async during (args: readonly string[], work: () => Promise<void>): Promise<void> {
    const { child, output } = this.#start([...args, ...this.#flags, '--server', `127.0.0.1:${this.#server.listening.port}`])
    try {
      await work()
    } catch (error) {
      console.error(readFileSync(output, 'utf8'))
      throw error
    } finally {
      child.kill()
    }
  }

  async until (what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const giveUpMs = Date.now() + STEP_TIMEOUT_MS; Date.now() < giveUpMs;) {
      if (await holds()) {
        this.say(what)
        return
      }
      await new Promise(resolve => { setTimeout(resolve, POLL_MS) })
    }
    throw new Error(`${this.machine.name}: not within ${STEP_TIMEOUT_MS / 1000} s: ${what}.`)
  }

  async status (): Promise<string> {
    return (await this.#run(['status', ...this.#flags])).stdout
  }

  #checked (args: readonly string[], code: number, finished: Finished): string {
    if (finished.code !== code)
      throw new Error(
        `${this.machine.name}: ${args.join(' ')} ended with ${finished.code}, expected ${code}: ${finished.stdout}${finished.stderr}`
      )
    this.say(`${args[0] ?? ''} ended with ${code}`)
    return finished.stdout
  }

  async #run (args: readonly string[]): Promise<Finished> {
    const { child, output, errors } = this.#start(args)
    const timer = setTimeout(() => { child.kill() }, STEP_TIMEOUT_MS)
    const code = await new Promise<number>(resolve => { child.once('exit', exit => { resolve(exit ?? -1) }) })
    clearTimeout(timer)
    return { code, stdout: readFileSync(output, 'utf8'), stderr: readFileSync(errors, 'utf8') }
  }

  // Into files: under Wine a program's pipes are not those of the system.
  #start (args: readonly string[]): { readonly child: ChildProcess, readonly output: string, readonly errors: string } {
    const [command, ...before] = this.machine.command
    const number = this.#outputs++
    const [output, errors] = [this.#stage.path(`out-${number}`), this.#stage.path(`err-${number}`)]
    const [out, err] = [openSync(output, 'w'), openSync(errors, 'w')]
    const child = spawn(command, [...before, ...args], { cwd: this.machine.root, env: this.machine.env, stdio: ['ignore', out, err] })
    closeSync(out)
    closeSync(err)
    return { child, output, errors }
  }

  get #flags (): string[] {
    return ['--state-dir', this.machine.path('state')]
  }
}
