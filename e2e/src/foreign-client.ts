import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mirrorOf, SERVER_PROGRAM, Stage } from './programs.ts'
import type { Finished, RunningServer } from './programs.ts'
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
}

const STEP_TIMEOUT_MS = 120_000
const POLL_MS = 200
const FIXED_SECONDS = 1_700_000_000

/** The client of another kind of machine against a server of this one, on loopback. Each step throws what did not hold. */
export class ForeignTrial {
  readonly #machine: ForeignMachine
  readonly #stage: Stage
  readonly #server: RunningServer
  #outputs = 0

  private constructor (machine: ForeignMachine, stage: Stage, server: RunningServer) {
    this.#machine = machine
    this.#stage = stage
    this.#server = server
  }

  /** Enrols, pushes, changes, renames, deletes, watches, asks whether a copy is safe, and for the status. */
  static async run (machine: ForeignMachine): Promise<void> {
    const stage = await Stage.open()
    try {
      const trial = new ForeignTrial(machine, stage, await stage.startServer())
      await trial.#enroll()
      await trial.#push()
      await trial.#pushChanges()
      await trial.#ask()
      await trial.#watch()
    } finally {
      await stage.dispose()
    }
  }

  async #enroll (): Promise<void> {
    const token = await this.#stage.run(SERVER_PROGRAM, ['token', 'create', '--state-dir', this.#server.stateDir])
    writeFileSync(join(this.#machine.root, 'token'), token.stdout, { mode: 0o600 })
    await this.#expect(['enroll', '--token-file', this.#machine.path('token'), '--id', 'guest'], 0)
  }

  async #push (): Promise<void> {
    mkdirSync(this.#source('deep', 'deeper'), { recursive: true })
    for (const name of ['changes', 'moves', 'leaves', 'Ünïcödé 日本語', 'deep/deeper/leaf']) this.#write(name, `content of ${name}\n`)
    this.#write('large', new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 8)))
    for (const name of ['deep/deeper', 'deep']) utimesSync(this.#source(name), FIXED_SECONDS, FIXED_SECONDS)
    await this.#pushAll(6)
  }

  async #pushChanges (): Promise<void> {
    this.#write('changes', 'other content\n')
    renameSync(this.#source('moves'), this.#source('moved'))
    rmSync(this.#source('leaves'))
    const result = await this.#pushAll(1)
    if (result.filesRenamed !== 1 || result.filesDeleted !== 1)
      throw new Error(`renamed ${result.filesRenamed}, deleted ${result.filesDeleted}; expected 1 and 1`)
  }

  async #ask (): Promise<void> {
    const { stdout } = await this.#expect(['safe', this.#machine.path('source', 'large'), '--fresh'], 0)
    if (!stdout.includes('safe')) throw new Error(`safe said: ${stdout}`)
  }

  async #watch (): Promise<void> {
    const { child, output } = this.#start(['start', this.#machine.path('source'), '--settle', '0s', ...this.#flags])
    try {
      await this.#until('the client watches', async () =>
        /watching/u.test((await this.#run(['status', '--state-dir', this.#machine.path('state')])).stdout)
      )
      this.#write('seen', 'by the watch\n')
      await this.#until(
        'a change is stored without being asked for',
        async () => (await treeDifferences(this.#source(), this.#archived)).length === 0
      )
      const { stdout } = await this.#run(['status', '--state-dir', this.#machine.path('state')])
      console.log(stdout.trimEnd())
    } catch (error) {
      console.error(readFileSync(output, 'utf8'))
      throw error
    } finally {
      child.kill()
    }
  }

  async #pushAll (sent: number): Promise<{ readonly filesRenamed: number, readonly filesDeleted: number }> {
    const { stdout } = await this.#expect(['push', this.#machine.path('source'), '--settle', '0s', '--json'], 0)
    const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      filesSent: number
      filesRenamed: number
      filesDeleted: number
      durationMs: number
    }
    if (result.filesSent !== sent) throw new Error(`${result.filesSent} files were sent; expected ${sent}`)
    const differences = await treeDifferences(this.#source(), this.#archived)
    if (differences.length > 0) throw new Error(`The archive differs: ${differences.join(', ')}`)
    console.log(
      `${this.#machine.name}: pushed, ${result.filesSent} sent, ${result.filesRenamed} renamed, ` +
        `${result.filesDeleted} deleted, ${result.durationMs} ms`
    )
    return result
  }

  async #expect (args: readonly string[], code: number): Promise<Finished> {
    const finished = await this.#run([...args, ...this.#flags])
    if (finished.code !== code)
      throw new Error(
        `${this.#machine.name}: ${args[0] ?? ''} ended with ${finished.code}, expected ${code}: ${finished.stdout}${finished.stderr}`
      )
    console.log(`${this.#machine.name}: ${args[0] ?? ''} ended with ${code}`)
    return finished
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
    const [command, ...before] = this.#machine.command
    const number = this.#outputs++
    const [output, errors] = [this.#stage.path(`out-${number}`), this.#stage.path(`err-${number}`)]
    const [out, err] = [openSync(output, 'w'), openSync(errors, 'w')]
    const child = spawn(command, [...before, ...args], { cwd: this.#machine.root, env: this.#machine.env, stdio: ['ignore', out, err] })
    closeSync(out)
    closeSync(err)
    return { child, output, errors }
  }

  async #until (what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const giveUpMs = Date.now() + STEP_TIMEOUT_MS; Date.now() < giveUpMs;) {
      if (await holds()) {
        console.log(`${this.#machine.name}: ${what}`)
        return
      }
      await new Promise(resolve => { setTimeout(resolve, POLL_MS) })
    }
    throw new Error(`${this.#machine.name}: it did not come to pass within ${STEP_TIMEOUT_MS / 1000} s that ${what}.`)
  }

  get #flags (): string[] {
    return ['--state-dir', this.#machine.path('state'), '--server', `127.0.0.1:${this.#server.listening.port}`]
  }

  get #archived (): string {
    return mirrorOf(this.#server, 'guest', this.#source())
  }

  // At a whole second: not every system keeps all digits of a time.
  #write (name: string, content: string | Uint8Array): void {
    writeFileSync(this.#source(name), content)
    utimesSync(this.#source(name), FIXED_SECONDS, FIXED_SECONDS)
  }

  #source (...names: string[]): string {
    return join(this.#machine.root, 'source', ...names)
  }
}
