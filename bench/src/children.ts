import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { basename } from 'node:path'
import { errnoOf } from '@filesync/protocol'

/** A program that has exited. */
export interface Ended {
  readonly code: number
  readonly durationMs: number
  readonly stdout: string
  readonly stderr: string
}

/** A program that has been started. */
export interface Started {
  readonly pid: number
  /** The lines of its standard output, from the first one. */
  readonly lines: AsyncIterable<string>
  readonly ended: Promise<Ended>
}

/** Other variables may make a program read certificates or load modules, which is not part of what is measured. */
const KEPT = ['PATH', 'HOME', 'TMPDIR', 'LANG']

/**
 * The programs that were started and have not exited. Each has its own process group, so that Ctrl-C reaches only this process,
 * and stopping a program also stops what it started.
 */
export class Children {
  readonly #running = new Map<number, ChildProcess>()

  start (command: string, args: readonly string[], cwd?: string): Started {
    const startedMs = performance.now()
    const env = Object.fromEntries(KEPT.flatMap(name => process.env[name] === undefined ? [] : [[name, process.env[name]]]))
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...(cwd !== undefined && { cwd }) })
    const { pid, stdout: out, stderr: err } = child
    const lines = new LineQueue()
    let stdout = ''
    let stderr = ''
    out.setEncoding('utf8').on('data', (text: string) => { stdout += text; lines.push(text) })
    err.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    const ended = new Promise<Ended>((resolve, reject) => {
      let durationMs = 0
      child.once('error', reject)
      child.once('exit', () => { durationMs = performance.now() - startedMs })
      child.once('close', code => {
        if (pid !== undefined) this.#running.delete(pid)
        lines.end()
        resolve({ code: code ?? -1, durationMs, stdout, stderr })
      })
    })
    // A caller that only stops the program does not await this promise.
    ended.catch(() => { lines.end() })
    if (pid !== undefined) this.#running.set(pid, child)
    return { pid: pid ?? -1, lines, ended }
  }

  /** Runs a program until it exits. Throws with its output if it fails. */
  async run (command: string, args: readonly string[]): Promise<Ended> {
    const ended = await this.start(command, args).ended
    if (ended.code === 0) return ended
    const name = [command, ...args.slice(0, 2)].map(word => basename(word)).join(' ')
    throw new Error(`${name} exited with ${ended.code}: ${ended.stderr}${ended.stdout}`)
  }

  /** Stops a program and what it started, and waits until it has exited. */
  async stop (started: Started, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#running.has(started.pid)) return
    killGroup(started.pid, signal)
    await started.ended
  }

  killAll (): void {
    for (const pid of this.#running.keys()) killGroup(pid, 'SIGKILL')
  }
}

function killGroup (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // It has just exited.
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** Lines for one reader, kept until they are read. */
class LineQueue implements AsyncIterable<string> {
  readonly #lines: string[] = []
  #rest = ''
  #over = false
  #wake: (() => void) | undefined

  push (text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = parts.pop() ?? ''
    this.#lines.push(...parts)
    this.#wake?.()
  }

  end (): void {
    this.#over = true
    this.#wake?.()
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<string, void, undefined> {
    for (;;) {
      const line = this.#lines.shift()
      if (line !== undefined) yield line
      else if (this.#over) return
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
